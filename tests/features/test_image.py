"""Image columns: every format and mode of a picture, broken ones, fitting, and one picture as many."""

import base64
import io
import json
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from tradewind.errors import DataError
from tradewind.features.column import Column, ColumnSpec
from tradewind.features.image import ImageColumn
from tradewind.features.picture import bytes_of, decode


def grey(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width), dtype=np.uint8)


def colour(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def file_of(pixels, form="PNG", **options) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def values(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def fitted(*items, **options) -> ImageColumn:
    return ImageColumn.fit(ColumnSpec("scan", "image", options), values(*items), seed=0)


# ---------------------------------------------------------------- decoding


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_lossless_grey_is_read_exactly(form):
    assert np.array_equal(decode(file_of(grey(), form))[0], grey())


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_lossless_colour_is_read_exactly(form, options):
    assert np.array_equal(decode(file_of(colour(), form, **options)), colour().transpose(2, 0, 1))


def test_jpeg_is_read_nearly():
    smooth = np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))
    assert np.abs(decode(file_of(smooth, "JPEG", quality=95))[0].astype(int) - smooth).max() < 12


def test_cmyk_jpeg_is_colour():
    assert decode(file_of(Image.fromarray(colour()).convert("CMYK"), "JPEG")).shape == (3, 40, 60)


@pytest.mark.parametrize(("largest", "divisor"), [(60_000, 256), (4_000, 16), (200, 1)])
def test_sixteen_bits_are_brought_to_eight(largest, divisor):
    wide = np.linspace(0, largest, 600).astype(np.uint16).reshape(20, 30)
    assert np.array_equal(decode(file_of(wide, "PNG"))[0], (wide // divisor).astype(np.uint8))


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e6])
def test_floats_are_brought_to_bytes(scale):
    wide = (np.linspace(0, 1, 600).reshape(20, 30) * scale).astype(np.float32)
    found = decode(file_of(Image.fromarray(wide), "TIFF"))[0]
    assert found.min() == 0
    assert found.max() >= 254


def test_one_bit_is_black_and_white():
    assert set(np.unique(decode(file_of(Image.fromarray(grey()).convert("1"))))) == {0, 255}


def test_transparent_becomes_white():
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    assert (decode(file_of(clear)) == 255).all()


def test_palette_is_colour():
    assert decode(file_of(Image.fromarray(colour()).quantize(16))).shape == (3, 40, 60)


def test_an_animation_gives_its_first_frame():
    frames = [Image.fromarray(grey(seed=seed)) for seed in (0, 1)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode(out.getvalue())[0], grey(seed=0))


def test_pages_give_the_first():
    pages = [Image.fromarray(grey(seed=seed)) for seed in (0, 1)]
    assert np.array_equal(decode(file_of(pages[0], "TIFF", save_all=True, append_images=pages[1:]))[0], grey(seed=0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation):
    upright = Image.fromarray(grey())
    back = {
        1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]  # fmt: skip
    stored = upright
    for turn in back:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(file_of(stored, "PNG", exif=exif))[0], grey())


def test_paths_bytes_base64_and_data_urls_are_one(tmp_path):
    content = file_of(grey())
    path = tmp_path / "扫描.png"
    path.write_bytes(content)
    text = base64.b64encode(content).decode()
    for value in (str(path), path, bytearray(content), text, f"data:image/png;base64,{text}"):
        assert np.array_equal(decode(value)[0], grey())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_base64_of_every_format_is_no_path(form):
    text = base64.b64encode(file_of(grey(), form)).decode()
    assert decode(text).shape[1:] == (40, 60)


def test_text_that_is_no_base64_is_refused():
    with pytest.raises(DataError, match="base64"):
        bytes_of("/etc/passwd.")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty"),
        (b"no picture at all", "no PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "no PNG"),
        (file_of(colour())[:200], "cut short"),
        (file_of(colour(200, 200), "JPEG")[:3000], "cut short"),
        ("/nowhere/at/all.png", "cannot be opened"),
        ("a\0b", "cannot be opened"),
        (None, "there is none"),
        (float("nan"), "there is none"),
        (7, "it is a int"),
    ],
)
def test_what_is_no_picture_gives_one_clear_error(value, reason):
    with pytest.raises(DataError, match=reason) as caught:
        decode(value)
    assert caught.value.code == "data.image_unreadable"


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        decode(str(tmp_path))


def test_a_flipped_bit_never_raises_anything_else():
    random = np.random.default_rng(0)
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        whole = np.frombuffer(file_of(colour(), form), dtype=np.uint8)
        for _ in range(40):
            broken = whole.copy()
            places = random.integers(0, len(broken), 4)
            broken[places] = random.integers(0, 256, 4)
            with suppress(DataError):
                assert decode(broken.tobytes()).dtype == np.uint8


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = bytearray(file_of(Image.new("1", (9000, 9000))))
    with pytest.raises(DataError, match="million pixels"):
        decode(bytes(bomb))


# ---------------------------------------------------------------- the column


def test_grey_pictures_give_one_channel_whatever_their_mode():
    three = np.repeat(grey()[:, :, None], 3, axis=2)
    assert fitted(file_of(grey()), file_of(three), file_of(three, "JPEG")).channels == 1


def test_one_colour_picture_gives_three_channels():
    assert fitted(file_of(grey()), file_of(colour())).channels == 3


@pytest.mark.parametrize(
    ("pixels", "side"), [((28, 28), 32), ((60, 40), 64), ((300, 200), 192), ((180, 100), 96), ((8, 8), 16)]
)
def test_the_side_follows_the_pictures(pixels, side):
    assert fitted(file_of(grey(*pixels))).side == side


def test_mean_and_deviation_are_those_of_the_pixels():
    column = fitted(file_of(colour(32, 32, seed=1)), file_of(colour(32, 32, seed=2)), size=32)
    both = np.stack([colour(32, 32, seed=1), colour(32, 32, seed=2)]).astype(float)
    assert column.mean == pytest.approx(both.mean((0, 1, 2)))
    assert column.std == pytest.approx(both.std((0, 1, 2)))


def test_unreadable_pictures_do_not_count():
    assert fitted(file_of(grey(32, 32)), b"broken", None).mean == fitted(file_of(grey(32, 32))).mean


def test_one_plain_picture_has_a_deviation_to_divide_by():
    assert fitted(file_of(np.full((32, 32), 7, np.uint8))).std == (1.0,)


def test_no_readable_picture_at_all_is_an_error():
    with pytest.raises(DataError, match="None of 2 pictures"):
        fitted(b"a", None)


@pytest.mark.parametrize("options", [{"size": 4}, {"size": 4096}, {"size": "big"}, {"channels": 2}, {"aspect": "keep"}])
def test_an_option_out_of_range_is_an_error(options):
    with pytest.raises(DataError, match=next(iter(options))):
        fitted(file_of(grey()), **options)


def test_apply_gives_the_layouts_shape():
    column = fitted(file_of(colour()), size=48)
    (tensor,) = column.layout.tensors
    found = column.apply(values(file_of(colour()), None)).tensors["image:scan"]
    assert (tensor.name, tensor.role, tensor.dtype) == ("image:scan", "image", "uint8")
    assert found.shape == (2, *tensor.shape)
    assert found.dtype == np.uint8


def test_what_cannot_be_read_is_zeros():
    column = fitted(file_of(grey()))
    assert not column.apply(values(None, b"", b"x", float("nan"))).tensors["image:scan"].any()


@pytest.mark.parametrize("aspect", ["stretch", "pad", "crop"])
def test_one_picture_alone_is_as_in_a_batch(aspect):
    column = fitted(file_of(colour()), size=48, aspect=aspect)
    raw = [file_of(colour(50 + 10 * seed, 90, seed=seed), "JPEG") for seed in range(9)] + [None]
    together = column.apply(values(*raw)).tensors["image:scan"]
    alone = [column.apply_one(value, [], [])["image:scan"] for value in raw]
    assert np.array_equal(together, np.concatenate(alone))


def test_pad_keeps_the_shape_of_things():
    column = fitted(file_of(grey()), size=32, aspect="pad")
    found = column.pixels(file_of(np.full((20, 80), 200, np.uint8)))
    assert np.array_equal(np.flatnonzero(found[0, :, 0]), np.arange(12, 20))


def test_crop_takes_the_middle():
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 9
    assert (fitted(file_of(grey()), size=20, aspect="crop").pixels(file_of(wide)) == 9).all()


def test_a_large_jpeg_is_read_reduced_but_alike():
    y, x = np.mgrid[0:1024, 0:1024]
    large = (127 + 60 * np.sin(x / 90) + 60 * np.cos(y / 70)).astype(np.uint8)
    column = fitted(file_of(large), size=64)
    exact = column.pixels(file_of(large, "PNG")).astype(int)
    assert np.abs(column.pixels(file_of(large, "JPEG", quality=95)).astype(int) - exact).max() <= 3


def test_state_survives_json():
    column = fitted(file_of(colour()), file_of(colour(seed=3)), aspect="crop")
    assert ImageColumn.from_state(json.loads(json.dumps(column.state()))) == column


def test_the_order_of_rows_does_not_matter():
    files = [file_of(colour(seed=seed)) for seed in range(12)]
    assert fitted(*files) == fitted(*reversed(files))


def test_it_is_a_column():
    assert isinstance(fitted(file_of(grey())), Column)
