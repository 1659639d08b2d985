"""Manifests of every layout, with what adding `"envy.zig@r1"` inserts marked by ⟦ and ⟧.

A plain module. A manifest in COMPUTED has no table that an entry can be added to.
"""

import re

LAYOUTS = {
    "empty": 'packages = {⟦ "envy.zig@r1" ⟧}\n',
    "empty, indented": 'packages = {⟦ "envy.zig@r1"⟧ }\n',
    "empty, two lines": 'packages = {\n⟦  "envy.zig@r1",\n⟧}\n',
    "empty, no end of line": 'packages = {\n⟦  "envy.zig@r1",\n⟧}',
    "only comments": 'packages = {\n    -- "envy.cmake@r1",\n⟦    "envy.zig@r1",\n⟧}\n',
    "comment in braces": 'packages = { --[[ none }, yet ]]⟦ "envy.zig@r1"⟧ }\n',
    "one line": 'packages = { "envy.ninja@r1"⟦, "envy.zig@r1"⟧ }\n',
    "one line, no spaces": 'packages={"envy.ninja@r1"⟦, "envy.zig@r1"⟧}\n',
    "one line, comma": 'packages = { "envy.ninja@r1",⟦ "envy.zig@r1",⟧ }\n',
    "one line, semicolons": 'packages = { "envy.ninja@r1"; "envy.go@r1"⟦; "envy.zig@r1"⟧ }\n',
    "single quotes": "packages = { 'envy.ninja@r1'⟦, 'envy.zig@r1'⟧ }\n",
    "lines": 'packages = {\n  "envy.ninja@r1",\n⟦  "envy.zig@r1",\n⟧}\n',
    "lines, no comma": 'packages = {\n  "envy.ninja@r1"⟦,⟧\n⟦  "envy.zig@r1"\n⟧}\n',
    "lines, comment": 'packages = {\n  "envy.ninja@r1"⟦,⟧ -- , or }\n⟦  "envy.zig@r1"\n⟧}\n',
    "lines, semicolons": 'packages = {\n  "envy.ninja@r1";\n⟦  "envy.zig@r1";\n⟧}\n',
    "tabs": 'packages = {\n\t"envy.ninja@r1",\n⟦\t"envy.zig@r1",\n⟧}\n',
    "crlf": 'packages = {\r\n  "envy.ninja@r1",\r\n⟦  "envy.zig@r1",\r\n⟧}\r\n',
    "crlf, no comma": 'packages = {\r\n  "envy.ninja@r1"⟦,⟧\r\n⟦  "envy.zig@r1"\r\n⟧}\r\n',
    "crlf, empty": 'packages = {\r\n⟦  "envy.zig@r1",\r\n⟧}\r\n',
    "aligned": 'packages = { "envy.ninja@r1",\n      "envy.go@r1"⟦,\n      "envy.zig@r1"⟧ }\n',
    "brace below": 'packages = { "envy.ninja@r1",\n  "envy.go@r1",\n⟦  "envy.zig@r1",\n⟧}\n',
    "brace after comment": 'packages = {\n "envy.go@r1"⟦,⟧ -- }⟦\n "envy.zig@r1"⟧\n --[[]] }\n',
    "comma first": 'packages = {\n    "envy.ninja@r1"\n  , "envy.go@r1"⟦,⟧\n⟦  "envy.zig@r1"\n⟧}\n',
    "brace on its line": 'packages =\n{\n  "envy.ninja@r1",\n⟦  "envy.zig@r1",\n⟧}\n',
    "table": 'packages = {\n  { recipe = "envy.ninja@r1" },\n⟦  "envy.zig@r1",\n⟧}\n',
    "table over lines": (
        "packages = {\n  {\n    recipe = 'envy.ninja@r1',\n    options = {\n"
        '      version = "1.11.1"\n    }\n  },\n⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "long brackets": 'packages = {\n  { recipe = [==[envy.ninja@r1]==] },\n⟦  "envy.zig@r1",\n⟧}\n',
    "brackets in strings": (
        'note = "packages = { }"\npackages = { { recipe = "local.a@r1", options = '
        '{ a = "}", b = \'{\\\'\', c = [[ ]=] } ]] } }⟦, "envy.zig@r1"⟧ }\n'
    ),
    "escapes": (
        'packages = {\n  { recipe = "local.a@r1", options = { a = "\\z\n    \\"}\\065" } },\n'
        '⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "comments of every kind": (
        "--[==[ packages = { } ]] ]==]\n-- packages = {\npackages = { -- the {\n"
        '  "envy.ninja@r1", --[[ } ]]\n  -- }\n⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "comment between comma": 'packages = { "envy.ninja@r1" --[[ x ]] ,⟦ "envy.zig@r1",⟧ }\n',
    "function in an entry": (
        'packages = {\n  { recipe = "local.a@r1", source = { fetch = function(ctx)\n'
        "    local t = { 1, 2; 3 } if t then return end end } },\n"
        '⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "functions before": (
        "local function version(name) return ({ ninja = '1.11.1' })[name] end\n"
        "packages = {\n  { recipe = 'envy.ninja@r1', options = { version = version 'ninja' } },\n"
        "⟦  'envy.zig@r1',\n⟧}\nfunction later() packages = { } end\n"
    ),
    "entry of a condition": (
        'packages = {\n  ENVY_PLATFORM == "darwin" and "local.mac@r1" or "local.other@r1",\n'
        '⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "added to later": (
        'packages = { "envy.ninja@r1"⟦, "envy.zig@r1"⟧ }\n'
        'if ENVY_PLATFORM == "windows" then packages[#packages + 1] = "local.win@r1" end\n'
    ),
    "assigned twice": 'packages = { }\npackages = { "envy.ninja@r1"⟦, "envy.zig@r1"⟧ }\n',
    "other fields": (
        'requires_envy = ">=0.1"\nenv = { A = "1", B = "{{project}}" }\npackages = {\n'
        '  "envy.ninja@r1",\n⟦  "envy.zig@r1",\n⟧}\ndefault_shell = function() return "x" end\n'
    ),
    "platforms": (
        'packages = {\n  { recipe = "local.a@r1", platforms = { "windows" } },\n'
        '⟦  "envy.zig@r1",\n⟧}\n'
    ),
    "not text": '-- \udcff\udcfe\npackages = {\n  "envy.ninja@r1",\n⟦  "envy.zig@r1",\n⟧}\n',
    "shebang": '#!/usr/bin/env envy\npackages = { "envy.ninja@r1"⟦, "envy.zig@r1"⟧ }\n',
    "all on one line": 'local x = 1 packages = { "envy.ninja@r1"⟦, "envy.zig@r1"⟧ } local y = 2',
    "unix line in crlf": 'packages = {\r\n  "envy.ninja@r1",\n⟦  "envy.zig@r1",\n⟧}\r\n',
    "fails elsewhere": (
        'assert(ENVY_PLATFORM ~= "windows", "no")\npackages = { "envy.ninja@r1"'
        '⟦, "envy.zig@r1"⟧ }\n'
    ),
}  # fmt: skip

COMPUTED = {
    "function": 'packages = (function() return { "envy.ninja@r1" } end)()\n',
    "variable": 'local all = { "envy.ninja@r1" }\npackages = all\n',
    "replaced": 'packages = { "envy.ninja@r1" }\npackages = table.move(packages, 1, 1, 1, {})\n',
    "in a block": 'if true then packages = { "envy.ninja@r1" } end\n',
    "on one platform": 'packages = { "envy.ninja@r1" }\n'
    'if ENVY_PLATFORM ~= "linux" then packages = { "envy.go@r1" } end\n',
    "counted": 'packages = { "envy.ninja@r1" }\nenv = { COUNT = tostring(#packages) }\n',
    "keyed": 'packages = { [1] = "envy.ninja@r1" }\n',
    "cut": 'packages = { table.unpack({ "envy.ninja@r1", "envy.go@r1" }) }\npackages[2] = nil\n',
}


def before(marked):
    """Return the manifest without what the marks enclose."""
    return re.sub("⟦[^⟧]*⟧", "", marked)


def after(marked):
    """Return the manifest with what the marks enclose."""
    return marked.replace("⟦", "").replace("⟧", "")
