"""The wheel of a platform that is not this machine."""

import pytest
from packaging.version import Version

from envy.host.named_platforms import NAMED_PLATFORMS, named_platform
from envy.transport.index_page import ReleaseFile
from envy.transport.wheel_choice import WheelRequest, choose_wheel


def chosen(platform, *tags, python=""):
    """Return the platform tag of the wheel that is chosen for a platform, or None."""
    files = [
        ReleaseFile(name=f"tool-1.0-{tag}.whl", url="u", page="p")
        for tag in (tag if "-" in tag else f"py3-none-{tag}" for tag in tags)
    ]
    request = WheelRequest(
        name="tool", version=Version("1.0"), python=python, platform=named_platform(platform)
    )
    found = choose_wheel(request, files)
    return found and found.name.removesuffix(".whl").rpartition("-")[2]


OF_EACH = {
    "linux-x86_64": "manylinux_2_17_x86_64",
    "linux-arm64": "manylinux2014_aarch64",
    "linux-x86_64-musl": "musllinux_1_1_x86_64",
    "linux-arm64-musl": "musllinux_1_2_aarch64",
    "darwin-x86_64": "macosx_10_9_x86_64",
    "darwin-arm64": "macosx_11_0_arm64",
    "windows-x86_64": "win_amd64",
    "windows-arm64": "win_arm64",
}


def test_each_platform_gets_its_own():
    """Of the wheels of all platforms, each platform gets the one for it; `any` fits everywhere."""
    assert set(OF_EACH) == set(NAMED_PLATFORMS)
    for name, tag in OF_EACH.items():
        assert chosen(name, *OF_EACH.values()) == tag
        assert chosen(name, "any") == "any"
    of_python = [f"cp312-cp312-{tag}" for tag in OF_EACH.values()]
    for name, tag in OF_EACH.items():
        assert chosen(name, *of_python, python="3.12") == tag
        assert chosen(name, *of_python, python="3.11") is None


@pytest.mark.parametrize(
    ("platform", "tags", "best"),
    [
        ("linux-x86_64", ["2_34", "2_28", "2_17"], "2_28"),
        ("linux-x86_64", ["2_39", "2_34"], "2_34"),
        ("linux-x86_64-musl", ["1_3", "1_1"], "1_1"),
        ("linux-x86_64-musl", ["1_4", "1_3"], "1_3"),
        ("darwin-arm64", ["14_0", "11_0"], "11_0"),
        ("darwin-arm64", ["14_0", "13_0"], "13_0"),
    ],
)
def test_the_newest_that_works_for_most(platform, tags, best):
    """The best on a common older system; without one, what the oldest newer system can run."""
    start, end = {
        "linux-x86_64": ("manylinux_", "_x86_64"),
        "linux-x86_64-musl": ("musllinux_", "_x86_64"),
        "darwin-arm64": ("macosx_", "_arm64"),
    }[platform]
    assert chosen(platform, *(f"{start}{tag}{end}" for tag in tags)) == f"{start}{best}{end}"
