/* The chat window for somebody's page: one script tag, nothing is fetched but this server's /v1/conversations.
 * Not here: what is answered. Whatever comes from the server, or from a person, is shown as text and never as markup.
 *
 *   <script src="https://HOST/widget.js" data-product="helpdesk" data-key="tw_live_…" async></script>
 *
 * data-language (en, zh; else the page's lang), data-title, data-subject (who is signed in on the page), data-open (at once).
 */
(() => {
  "use strict";

  const script = document.currentScript;
  const given = script.dataset;
  const base = new URL(script.src).origin;
  const store = `tradewind:${base}:${given.product}`;
  const POLL_MS = 2500;
  const TRIES = 4;
  const MOST = 2000;

  const WORDS = {
    en: {
      open: "Open the chat", close: "Close the chat", title: "Chat", write: "Your message", send: "Send", you: "You",
      machine: "Assistant", person: "Colleague", sources: "Sources", good: "This helped", bad: "This did not help",
      waiting: "A colleague will answer here soon.", held: "You are talking with a colleague.",
      closed: "This conversation has ended.", again: "New conversation", busy: "Writing an answer …",
      slow: "Too many messages at once. Wait a moment and send it again.",
      failed: "The message could not be sent. Check your connection and send it again.",
    },
    zh: {
      open: "打开对话", close: "关闭对话", title: "在线客服", write: "请输入消息", send: "发送", you: "您",
      machine: "智能助手", person: "人工客服", sources: "资料来源", good: "有帮助", bad: "没有帮助",
      waiting: "人工客服稍后会在这里回复您。", held: "您正在与人工客服对话。",
      closed: "本次对话已结束。", again: "开始新对话", busy: "正在回复…",
      slow: "消息太频繁，请稍候再发送。",
      failed: "消息未能发送，请检查网络后重试。",
    },
  };
  const asked = given.language || document.documentElement.lang || navigator.language || "en";
  const language = asked.toLowerCase().startsWith("zh") ? "zh" : "en";
  const word = WORDS[language];

  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; font: 15px/1.45 system-ui, "Noto Sans SC", "Microsoft YaHei", sans-serif; }
    .launch, .panel { position: fixed; inset-inline-end: 20px; z-index: 2147483000; }
    .launch { bottom: 20px; width: 56px; height: 56px; border: 0; border-radius: 28px; cursor: pointer;
      background: #14532d; color: #fff; font-size: 24px; box-shadow: 0 2px 12px rgb(0 0 0 / .3); }
    .panel { bottom: 88px; width: min(380px, calc(100vw - 40px)); height: min(560px, calc(100vh - 120px)); display: flex;
      flex-direction: column; background: #fff; color: #1c1917; border: 1px solid #a8a29e; border-radius: 12px;
      overflow: hidden; box-shadow: 0 6px 28px rgb(0 0 0 / .25); }
    [hidden] { display: none !important; }
    header { display: flex; align-items: center; background: #14532d; color: #fff; padding: 10px 14px; }
    h2 { flex: 1; margin: 0; font-size: 16px; font-weight: 600; }
    header button { border: 0; background: none; color: inherit; font-size: 20px; cursor: pointer; padding: 2px 8px; }
    .log { flex: 1; overflow-y: auto; padding: 12px; display: flex; flex-direction: column; gap: 10px; }
    .said { max-width: 85%; align-self: flex-start; }
    .said.user { align-self: flex-end; }
    .who { font-size: 12px; color: #57534e; }
    .text { margin: 2px 0 0; padding: 8px 12px; border-radius: 10px; background: #f0efed; white-space: pre-wrap;
      overflow-wrap: anywhere; }
    .user .text { background: #14532d; color: #fff; }
    .person .text { background: #dbeafe; }
    .sources { margin: 4px 0 0; padding-inline-start: 18px; font-size: 12px; color: #57534e; overflow-wrap: anywhere; }
    .sources * { font-size: 12px; color: inherit; }
    .row { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 4px; }
    .row button, .state button { border: 1px solid #a8a29e; background: #fff; color: #1c1917; border-radius: 8px; padding: 3px 10px;
      cursor: pointer; }
    .row button[aria-pressed="true"] { background: #14532d; color: #fff; }
    .state { padding: 6px 12px; background: #fef9c3; color: #422006; font-size: 13px; }
    .trouble { background: #fee2e2; color: #7f1d1d; }
    form { display: flex; gap: 8px; padding: 10px; border-top: 1px solid #d6d3d1; }
    textarea { flex: 1; resize: none; height: 44px; padding: 8px; border: 1px solid #78716c; border-radius: 8px; background: #fff;
      color: #1c1917; }
    form button { border: 0; border-radius: 8px; padding: 0 16px; background: #14532d; color: #fff; cursor: pointer; }
    form button:disabled { opacity: .55; cursor: default; }
    button:focus-visible, textarea:focus-visible, a:focus-visible, .log:focus-visible { outline: 3px solid #2563eb; outline-offset: 2px; }
  `;

  // ------------------------------------------------------------ the window

  const element = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  const host = element("tradewind-chat", { lang: language });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const launch = element("button", { class: "launch", type: "button", "aria-label": word.open, "aria-expanded": "false", "aria-controls": "panel" }, "💬");
  const panel = element("section", { class: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", hidden: "" });
  const head = element("header");
  const shut = element("button", { type: "button", "aria-label": word.close }, "×");
  head.append(element("h2", { id: "title", dir: "auto" }, given.title || word.title), shut);
  const log = element("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": given.title || word.title, tabindex: "0" });
  const state = element("div", { class: "state", role: "status", hidden: "" });
  const form = element("form");
  const field = element("textarea", { "aria-label": word.write, placeholder: word.write, maxlength: String(MOST), dir: "auto", rows: "1" });
  const send = element("button", { type: "submit" }, word.send);
  form.append(field, send);
  panel.append(head, log, state, form);
  root.append(launch, panel);

  const show = (message) => {
    const kind = message.author === "user" ? "user" : message.author === "person" ? "person" : "machine";
    const said = element("div", { class: `said ${kind}` });
    said.append(element("div", { class: "who" }, kind === "user" ? word.you : word[kind]));
    said.append(element("p", { class: "text", dir: "auto" }, message.text));
    if (message.sources && message.sources.length) said.append(sourcesOf(message.sources));
    if (message.choices && message.choices.length) said.append(choicesOf(message.choices));
    if (kind !== "user" && message.place && message.kind !== "greeting" && message.kind !== "handoff") said.append(thumbs(message.place));
    log.append(said);
    log.scrollTop = log.scrollHeight;
    return said;
  };

  const sourcesOf = (sources) => {
    const list = element("ol", { class: "sources", "aria-label": word.sources });
    for (const one of sources) {
      const item = element("li", { dir: "auto" });
      const name = one.heading ? `${one.heading} · ${one.source}` : one.source;
      if (/^https?:\/\//i.test(one.source)) {
        item.append(element("a", { href: one.source, target: "_blank", rel: "noopener noreferrer nofollow" }, name));
      } else {
        item.textContent = name;
      }
      list.append(item);
    }
    return list;
  };

  const choicesOf = (choices) => {
    const row = element("div", { class: "row" });
    for (const one of choices) {
      const button = element("button", { type: "button", dir: "auto" }, one.text);
      button.addEventListener("click", () => say(one.text));
      row.append(button);
    }
    return row;
  };

  const thumbs = (place) => {
    const row = element("div", { class: "row" });
    const pair = [["up", "👍", word.good], ["down", "👎", word.bad]].map(([score, sign, label]) => {
      const button = element("button", { type: "button", "aria-label": label, title: label, "aria-pressed": "false" }, sign);
      button.addEventListener("click", async () => {
        try {
          await ask("POST", `/${talk.id}/feedback`, { place, score });
          for (const one of pair) one.setAttribute("aria-pressed", String(one === button));
        } catch (error) {
          trouble(error);
        }
      });
      row.append(button);
      return button;
    });
    return row;
  };

  const note = (text, { bad = false, again = false } = {}) => {
    state.textContent = text;
    state.classList.toggle("trouble", bad);
    state.hidden = !text;
    if (again) {
      const button = element("button", { type: "button" }, word.again);
      button.addEventListener("click", restart);
      state.append(" ", button);
    }
  };

  const trouble = (error) => note(error.status === 429 ? word.slow : error.status && error.status < 500 && error.message ? error.message : word.failed, { bad: true });

  // ------------------------------------------------------------ the conversation

  let talk = null; // id and token
  let status = "open";
  let seen = 0; // place of the newest message that is shown
  let busy = false;
  let timer = 0;

  const ask = async (method, path, body, headers = {}) => {
    const asked = { authorization: `Bearer ${given.key}`, ...headers };
    if (talk) asked["tradewind-conversation"] = talk.token;
    if (body) asked["content-type"] = "application/json";
    const reply = await fetch(`${base}/v1/conversations${path}`, {
      method, headers: asked, body: body ? JSON.stringify(body) : undefined, credentials: "omit", referrerPolicy: "strict-origin",
    });
    const found = await reply.json().catch(() => ({}));
    if (!reply.ok) throw Object.assign(new Error((found.error && found.error.message) || ""), { status: reply.status, code: found.error && found.error.code });
    return found;
  };

  /* Tried again under the same key, a message is said once. */
  const patiently = async (task) => {
    for (let number = 1; ; number += 1) {
      try {
        return await task();
      } catch (error) {
        const passing = !error.status || error.status >= 502 || error.code === "input.idempotency_running";
        if (!passing || number === TRIES) throw error;
        await new Promise((done) => setTimeout(done, 400 * 2 ** number));
      }
    }
  };

  const take = (messages) => {
    for (const message of messages) {
      if (message.place > seen) {
        show(message);
        seen = message.place;
      }
    }
  };

  const stand = (now) => {
    status = now;
    note({ waiting: word.waiting, held: word.held, closed: word.closed }[now] || "", { again: now === "closed" });
    field.disabled = send.disabled = now === "closed";
    clearTimeout(timer);
    if ((now === "waiting" || now === "held") && !panel.hidden) timer = setTimeout(look, POLL_MS);
  };

  const look = async () => {
    try {
      if (!document.hidden && !busy) {
        const found = await ask("GET", `/${talk.id}?behind=${seen}`);
        take(found.messages);
        stand(found.status);
        return;
      }
    } catch (error) {
      if (error.status === 404) return forget();
    }
    stand(status);
  };

  const start = async () => {
    const kept = JSON.parse(sessionStorage.getItem(store) || "null");
    if (kept) {
      talk = kept;
      try {
        const found = await ask("GET", `/${talk.id}`);
        take(found.messages);
        return stand(found.status);
      } catch (error) {
        if (error.status !== 404) throw error;
        talk = null;
      }
    }
    const body = { model: given.product, language };
    if (given.subject) body.subject = given.subject;
    const found = await ask("POST", "", body);
    talk = { id: found.id, token: found.token };
    sessionStorage.setItem(store, JSON.stringify(talk));
    take(found.messages);
    stand(found.status);
  };

  /* Whoever writes while the window still begins has one conversation, not two. */
  let beginning = null;
  const begin = () => (beginning ??= start().finally(() => (beginning = null)));

  const forget = () => {
    sessionStorage.removeItem(store);
    talk = null;
    seen = 0;
    log.textContent = "";
    stand("open");
  };

  const restart = async () => {
    forget();
    await begin().catch(trouble);
    field.focus();
  };

  const say = async (text) => {
    text = text.trim();
    if (!text || busy || status === "closed") return;
    busy = send.disabled = true;
    const mine = show({ author: "user", text });
    note(status === "open" ? word.busy : "");
    try {
      if (beginning || !talk) await begin();
      const key = `w-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
      const told = await patiently(() => ask("POST", `/${talk.id}/messages`, { text }, { "idempotency-key": key }));
      field.value = "";
      const missed = told.place > seen + 1;
      if (missed) take((await ask("GET", `/${talk.id}?behind=${seen}`)).messages.filter((one) => one.place < told.place));
      seen = told.place;
      if (told.reply.text) take([told.reply]);
      stand(told.status);
    } catch (error) {
      mine.remove();
      field.value = text;
      if (error.code === "input.conversation_closed") stand("closed");
      else trouble(error);
    } finally {
      busy = false;
      send.disabled = status === "closed";
      field.focus();
    }
  };

  // ------------------------------------------------------------ opening and closing

  const open = async () => {
    panel.hidden = false;
    launch.setAttribute("aria-expanded", "true");
    launch.setAttribute("aria-label", word.close);
    field.focus();
    if (talk && !beginning) stand(status);
    else await begin().catch(trouble);
  };

  const close = () => {
    panel.hidden = true;
    clearTimeout(timer);
    launch.setAttribute("aria-expanded", "false");
    launch.setAttribute("aria-label", word.open);
    launch.focus();
  };

  launch.addEventListener("click", () => (panel.hidden ? open() : close()));
  shut.addEventListener("click", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      say(field.value);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(field.value);
  });

  const mount = () => {
    document.body.append(host);
    if (given.open !== undefined) open();
  };
  if (document.body) mount();
  else document.addEventListener("DOMContentLoaded", mount);
})();
