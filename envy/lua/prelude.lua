-- Every state runs this file before the first line of an author's file. It removes the functions
-- that recipes must not use, and replaces others with versions that are recorded, sorted and
-- stoppable.
--
-- Guarantees
--   No Python value is reachable. `native` and `poll` are upvalues, and `debug`, which could read
--   upvalues, is removed.
--   No code can catch a stop: each function of Lua that turns an error into a result (pcall,
--   xpcall, resume, wrap, close, load with a reader) raises it again. Finalizers, in which Lua runs
--   no hooks, cannot be set.
--   The globals of an author are a separate table. lupa reads the real globals without protection
--   at each call: a metatable there, or a different `debug`, would end the process.
--   The memory limit applies while Lua code runs, and never while a value is converted to or from
--   Python: there a Lua error would jump over Python's own frames, or end the process. `lift` and
--   `limit` take and return no values.
--
-- `native(name, ...)` returns true and results, or false and a message, or nil if the state is
-- stopped. This file is compiled without debug information, so that its functions never appear in a
-- trace.

local native, poll, lift, limit, constants = ...

local _G, package, utf8 = _G, package, utf8
local debug, string, table, math, coroutine, io, os = debug, string, table, math, coroutine, io, os
local error, load, next, pcall, rawequal, rawget, rawset, select, tostring, type, xpcall =
  error, load, next, pcall, rawequal, rawget, rawset, select, tostring, type, xpcall
local setmetatable, metatable_of, collectgarbage = setmetatable, debug.getmetatable, collectgarbage
local create, resume, close = coroutine.create, coroutine.resume, coroutine.close
local getinfo, sethook = debug.getinfo, debug.sethook
local concat, move, pack, sort, unpack = table.concat, table.move, table.pack, table.sort, table.unpack

local STOPPED <const> = "the run was stopped"
local INSTRUCTIONS <const> = 100000 -- between two calls of `poll`; about half a millisecond
local MOST_VALUES <const> = 2000000 -- in a table passed to Python; a shared table counts each time
local stopped = false
local environment = {} -- the globals of the author's files; filled at the end

local function limited(...)
  limit()
  return ...
end

local function all_plain(...)
  for i = 1, select("#", ...) do
    local kind = type((select(i, ...)))
    if kind == "table" or kind == "function" or kind == "userdata" or kind == "thread" then
      return false
    end
  end
  return true
end

-- lupa ties a table or function that is passed to Python inside a coroutine to that coroutine, and
-- releasing the value after the coroutine has been freed would write to freed memory. Therefore
-- Python fetches such values with a separate call, `unpark`, which runs on the main thread of the
-- state.
local parked = {}

local function call_native(name, ...)
  lift()
  if all_plain(...) then return limited(native(name, ...)) end
  parked[#parked + 1] = pack(...)
  return limited(native("parked", name))
end

local function unpark()
  local values = parked[#parked]
  parked[#parked] = nil
  return true, unpack(values, 1, values.n)
end

local function stop()
  stopped = true
  error(STOPPED, 0)
end

local function hook()
  if stopped then stop() end
  local info = getinfo(2, "Sl")
  if poll(info and info.source, info and info.currentline) then stop() end
end
sethook(hook, "", INSTRUCTIONS)

-- `level` counts from here, as for `error`; a caller that returns the result of `ask` directly is
-- replaced by it (a tail call) and has no level of its own.
local function answer(level, ok, ...)
  if ok then return ... end
  if ok == nil then stop() end
  error((...), level)
end

local function ask(level, name, ...)
  return answer(level, call_native(name, ...))
end

local function bind(name)
  return function(...) return answer(2, call_native(name, ...)) end
end

-- ---------------------------------------------------------------- no code can catch a stop

local function unless_stopped(...)
  if stopped then error(STOPPED, 0) end
  return ...
end

function _G.pcall(f, ...) return unless_stopped(pcall(f, ...)) end

function _G.xpcall(f, handler, ...)
  local function guarded(problem)
    if stopped then return problem end
    return handler(problem)
  end
  return unless_stopped(xpcall(f, guarded, ...))
end

function _G.load(chunk, name, _, ...)
  if select("#", ...) > 0 then return unless_stopped(load(chunk, name, "t", ...)) end
  return unless_stopped(load(chunk, name, "t", environment))
end

local function create_stoppable(f)
  local thread = create(f)
  sethook(thread, hook, "", INSTRUCTIONS)
  return thread
end
coroutine.create = create_stoppable

function coroutine.resume(thread, ...) return unless_stopped(resume(thread, ...)) end
function coroutine.close(thread) return unless_stopped(close(thread)) end

local function unwrap(thread, ok, ...)
  if ok then return ... end
  if stopped then error(STOPPED, 0) end
  close(thread)
  error((...), 0)
end

function coroutine.wrap(f)
  local thread = create_stoppable(f)
  return function(...) return unwrap(thread, resume(thread, ...)) end
end

function _G.setmetatable(value, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("__gc cannot be used in recipes: close files explicitly, or with <close>", 2)
  end
  return setmetatable(value, metatable)
end

-- ---------------------------------------------------------------- order is independent of hashes

function _G.pairs(value)
  local metatable = metatable_of(value)
  if metatable and metatable.__pairs then
    local step, state, first = metatable.__pairs(value)
    return step, state, first
  end
  if type(value) ~= "table" then
    error("bad argument #1 to 'pairs' (table expected, got " .. type(value) .. ")", 2)
  end
  local keys, numbers, strings, others = {}, 0, nil, nil
  for key in next, value do
    local kind = type(key)
    if kind == "number" then
      numbers = numbers + 1
      keys[numbers] = key
    elseif kind == "string" then
      strings = strings or {}
      strings[#strings + 1] = key
    else
      others = others or {}
      others[#others + 1] = key
    end
  end
  local count = numbers
  if numbers > 1 then sort(keys) end
  if strings then
    sort(strings)
    move(strings, 1, #strings, count + 1, keys)
    count = count + #strings
  end
  if others then
    move(others, 1, #others, count + 1, keys)
    count = count + #others
  end
  local position = 0
  return function()
    while position < count do
      position = position + 1
      local key = keys[position]
      local found = rawget(value, key)
      if found ~= nil then return key, found end -- else the loop body removed it
    end
  end, value, nil
end

math.randomseed(0)

function _G.collectgarbage(option)
  if option == nil or option == "collect" or option == "count" then
    return collectgarbage(option)
  end
  error("collectgarbage can only 'collect' and 'count' in recipes", 2)
end

-- ---------------------------------------------------------------- files and the machine

local open, lines, remove, rename = io.open, io.lines, os.remove, os.rename
metatable_of(io.stdout).__metatable = "file" -- protects its __gc

for _, name in next, { "popen", "tmpfile", "input", "output", "read", "write", "stdin", "stdout", "stderr" } do
  io[name] = nil
end
for _, name in next, { "execute", "exit", "setlocale", "tmpname" } do
  os[name] = nil
end

function io.open(path, mode)
  local absolute = ask(3, "open", path, mode)
  return open(absolute, mode)
end

function io.lines(path, ...)
  local absolute = ask(3, "open", path)
  return lines(absolute, ...)
end

function io.close(file) return file:close() end

function os.remove(path)
  local absolute = ask(3, "change", path)
  return remove(absolute)
end

function os.rename(from, to)
  local old = ask(3, "change", from)
  local new = ask(3, "change", to)
  return rename(old, new)
end

os.getenv = bind "getenv"

local seed = math.randomseed
function math.randomseed(...)
  if select("#", ...) == 0 then ask(2, "clock") end -- the seed is then the time
  return seed(...)
end

-- Uses of the clock are recorded: nothing else shows later that a result depends on the time.
for _, name in next, { "time", "date", "clock" } do
  local read = os[name]
  os[name] = function(...)
    ask(2, "clock")
    return read(...)
  end
end

local absent = {
  __index = function(library, key)
    ask(3, "absent", rawequal(library, io) and "io" or "os", key)
  end,
}
setmetatable(io, absent)
setmetatable(os, absent)

local function log(level, message) return answer(2, call_native("log", level, tostring(message))) end

function _G.print(...)
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  return answer(2, call_native("print", concat(words, "\t")))
end

function _G.warn(...) log("warn", concat { ... }) end

-- ---------------------------------------------------------------- modules

local loaded = {
  _G = environment, coroutine = coroutine, io = io, math = math, os = os, string = string, table = table,
  utf8 = utf8,
}
local loading = {}

_G.package = { config = package.config, loaded = loaded }

function _G.require(name)
  local value = loaded[name]
  if value ~= nil then return value end
  local text, source = ask(3, "module", name)
  if loading[name] then error("module '" .. name .. "' requires itself", 2) end
  local chunk, problem = load(text, source, "t", environment)
  if not chunk then error(problem, 0) end
  loading[name] = true
  local _ <close> = setmetatable({}, { __close = function() loading[name] = nil end })
  value = chunk(name)
  if value == nil then value = loaded[name] end
  if value == nil then value = true end
  loaded[name] = value
  return value
end

function _G.loadfile(path, _, ...)
  local text, source = ask(3, "source", path)
  if not text then return nil, source end
  return _G.load(text, source, "t", ...)
end

function _G.dofile(path)
  local text, source = ask(3, "source", path)
  if not text then error(source, 2) end
  local chunk, problem = load(text, source, "t", environment)
  if not chunk then error(problem, 0) end
  return chunk()
end

-- ---------------------------------------------------------------- envy

local envy = { path = {} }
_G.envy = envy

for _, name in next, { "info", "warn", "error", "debug" } do
  envy[name] = function(message) log(name, message) end
end
for _, name in next, { "join", "basename", "dirname", "stem", "extension" } do
  envy.path[name] = bind("path." .. name)
end

function envy.stdout(message) return answer(2, call_native("stdout", tostring(message))) end
envy.template = bind "template"

function envy.join(...)
  local joined, count = {}, 0
  for i = 1, select("#", ...) do
    local list = select(i, ...)
    if type(list) ~= "table" then
      error("envy.join takes lists, and argument " .. i .. " is a " .. type(list), 2)
    end
    for j = 1, #list do joined[count + j] = list[j] end
    count = count + #list
  end
  return joined
end

function envy.per_platform(choices)
  if type(choices) ~= "table" then error("envy.per_platform takes a table", 2) end
  local keys = {}
  for key in next, choices do keys[#keys + 1] = key end
  local chosen = ask(3, "per_platform", unpack(keys))
  return choices[chosen]
end

for name, value in next, constants do _G[name] = value end

-- A platform for which a project is locked has no version of its system: who asks is recorded.
local function version_of_system(_, name)
  if name == "ENVY_OS_VERSION" and _G.ENVY_OS_VERSION == nil then return ask(3, "os_version") end
end

_G.python, _G.debug, string.dump = nil, nil, nil

function envy.loadenv(module)
  local text, source = ask(3, "environment", module)
  local own = {}
  local index = setmetatable({ _G = own }, {
    __index = function(_, name)
      local value = _G[name]
      if value == nil then return version_of_system(_, name) end
      return value
    end,
  })
  setmetatable(own, { __index = index, __metatable = "loadenv" })
  local chunk, problem = load(text, source, "t", own)
  if not chunk then error(problem, 0) end
  chunk()
  return own
end

_G._G = environment
for name, value in next, _G do environment[name] = value end
if _G.ENVY_OS_VERSION == nil then setmetatable(environment, { __index = version_of_system }) end

-- ---------------------------------------------------------------- functions for Python

local function trace(problem)
  if stopped then return problem end
  local text = problem
  if type(problem) ~= "string" then
    local metatable = metatable_of(problem)
    text = metatable and metatable.__tostring and tostring(problem)
      or "(error object is a " .. type(problem) .. " value)"
  end
  local frames = { text }
  for level = 2, 100 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if info.currentline > 0 and info.source:byte() == 64 then
      local n = #frames
      frames[n + 1], frames[n + 2], frames[n + 3] = info.source, info.currentline, info.name or ""
    end
  end
  return frames
end

local function lifted(...)
  lift()
  return ...
end

local function run(f, ...)
  limit()
  return lifted(xpcall(f, trace, ...))
end

local function run_file(text, source, ...)
  local chunk, problem = load(text, source, "t", environment)
  if not chunk then return false, problem end
  return run(chunk, ...)
end

local function new_globals()
  local found = {}
  for name, value in next, environment do
    if not rawequal(_G[name], value) then found[name] = value end
  end
  return found
end

local visited = 0

-- Returns why a table cannot be converted for Python, and the path inside it; nothing if it can.
local function survey(value, ancestors, depth)
  if ancestors[value] then return "a table that contains itself", "" end
  if depth > 200 then return "nested more than 200 deep", "" end
  ancestors[value] = true
  for key, inner in next, value do
    local kind, problem, place = type(inner), nil, ""
    visited = visited + 1
    if visited > MOST_VALUES then return "too large a table", "" end
    if kind == "table" then
      problem, place = survey(inner, ancestors, depth + 1)
    elseif kind == "thread" or kind == "userdata" then
      problem = kind == "thread" and "a coroutine" or "a file"
    end
    local key_kind = type(key)
    if key_kind ~= "string" and key_kind ~= "number" then
      return "a table with a key that is a " .. key_kind, ""
    end
    if problem then
      return problem, (key_kind == "string" and "." .. key or "[" .. key .. "]") .. place
    end
  end
  ancestors[value] = nil
end

local function survey_table(value)
  visited = 0
  return survey(value, {}, 1)
end

local function where(f)
  local info = getinfo(f, "S")
  return info.source, info.linedefined
end

local function make_function(identifier)
  return function(...) return answer(2, call_native("call", identifier, ...)) end
end

local uncaptured = {
  __index = function(_, key)
    if key == "stdout" or key == "stderr" then
      error(key .. " was not captured: add capture = true to the options of the call", 2)
    end
  end,
  __metatable = "result",
}

-- Runs a program. `level` is that of the recipe, counted as for `answer`.
local function run_program(identifier, key, argv, ...)
  if key == "exec" and type(argv) == "table" then
    local caller = getinfo(3, "Sl")
    if caller then ask(4, "nil_argument", caller.source, caller.currentline, #argv) end
  end
  local result = answer(4, call_native("ctx", identifier, key, argv, ...))
  if type(result) == "table" and rawget(result, "stdout") == nil then setmetatable(result, uncaptured) end
  return result
end

local function make_ctx(identifier, ctx)
  return setmetatable(ctx, {
    __index = function(self, key)
      if not ask(3, "field", identifier, key) then return nil end
      local runs = key == "run" or key == "exec"
      local function call(...)
        if runs then
          if rawequal((...), self) then return (run_program(identifier, key, select(2, ...))) end
          return (run_program(identifier, key, ...))
        end
        if rawequal((...), self) then
          return answer(2, call_native("ctx", identifier, key, select(2, ...)))
        end
        return answer(2, call_native("ctx", identifier, key, ...))
      end
      rawset(self, key, call)
      return call
    end,
    __metatable = "ctx",
  })
end

return run, run_file, unpark, new_globals, survey_table, where, make_function, make_ctx
