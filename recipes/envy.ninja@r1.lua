identity = "envy.ninja@r1"
about = {
  version = "1.13.2",
  license = "Apache-2.0",
  description = "A small build system with a focus on speed",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "1.13.2",
    known = {
      ["1.13.2"] = {
        ["linux-x86_64-gnu"] = "65a24341b5ac09fcadcc37082660be40a94174e51a937fabf6e2cae26225fa2c",
        ["linux-x86_64-musl"] = "915bd482c4be41c75120fd67a22e0bb3f0fbb3bbc5f95b89787deadd59e27ef2",
        ["linux-arm64-gnu"] = "d775a5e43e9088f507a6250d57fcf5678eb31268c545feb5064ffeee33735622",
        ["linux-arm64-musl"] = "0e083700470c02ca154a855ae6d692d03564f5064cae52e113896f9ccc078418",
        ["darwin-x86_64"] = "fd82e26c0706ad4ab88e5fdd26f3fab0a987a90f810160f6c322e752c6af298b",
        ["darwin-arm64"] = "fd82e26c0706ad4ab88e5fdd26f3fab0a987a90f810160f6c322e752c6af298b",
      },
      ["1.11.1"] = {
        ["linux-x86_64-gnu"] = "817e2aee2a4d28a708a67bcfba1817ae502c32c6d8ef80e50d63b0f23adf3a08",
        ["linux-x86_64-musl"] = "3b28b595ed580752240ade7821b6cb7a5a4c6a604c865dc474bd38f06e2eb7f5",
        ["linux-arm64-gnu"] = "df11b8afea0501883e33faeb1c43d2ef67f466d5f4bd85f9c376e9a93a43a277",
        ["linux-arm64-musl"] = "60179bb4f22c88279c53a5402bb5fe81c97c627a28d93c737d1fa067d892115d",
        ["darwin-x86_64"] = "f48c3c6eea204062f6bbf089dfc63e1ad41a08640e1da46ef2b30fa426f7ce23",
        ["darwin-arm64"] = "f48c3c6eea204062f6bbf089dfc63e1ad41a08640e1da46ef2b30fa426f7ce23",
      },
      ["1.10.2.4"] = {
        ["linux-x86_64-gnu"] = "327c319176c5a4af21908b727b776e9f5caf275680403da632821ba071fd6296",
        ["linux-x86_64-musl"] = "3300f3f37d62dcc7bdd19284dff9eaed7d629f4ed2725019a6ce3291c655fb83",
        ["linux-arm64-gnu"] = "b86a4e4ba2ed999d8b10f2b3f2ed56d7457ff647268f4098dd0b63dd145ede32",
        ["linux-arm64-musl"] = "251fb21cd6691accd0d95e28721ad8a50a6ec0ace97f9a8de3976f39301686f6",
        ["darwin-x86_64"] = "b0350784b37c5080223ec1bedc507153cc714b502c17dd5a64552e930b0dca25",
        ["darwin-arm64"] = "b0350784b37c5080223ec1bedc507153cc714b502c17dd5a64552e930b0dca25",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:ninja==" .. opts.version,
    sha256 = digests[machine],
  }
end

-- Old wheels are Python packages that contain the program.
stage = function(ctx)
  ctx.extract_all()
  if ctx.exists("ninja/data/bin/ninja") then ctx.move("ninja/data/bin", "bin") end
end

products = { ninja = "bin/ninja" }
exports = { path = { "bin" } }
