# Completions of envy. Written by docs/completions.py; names are those in .envy/names.
_envy_names() {
  local folder=$PWD kind name
  while [ -n "$folder" ] && [ ! -f "$folder/envy.lua" ]; do folder=${folder%/*}; done
  [ -r "$folder/.envy/names" ] || return 0
  while IFS=' ' read -r kind name; do
    if [ "$kind" = "$1" ]; then found+=("$name"); fi
  done < "$folder/.envy/names"
}
_envy() {
  local current=${COMP_WORDS[COMP_CWORD]} command= i word
  local -a found=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --manifest|--cache-root|--jobs|-j|--fetch-jobs) i=$((i + 1)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  COMPREPLY=()
  if [ "$command" = run ] || [ "$command" = x ]; then
    # The words after the program are its own.
    for ((i++; i < COMP_CWORD; i++)); do
      case ${COMP_WORDS[i]} in
        --manifest|--cache-root|--jobs|-j|--fetch-jobs|--with|--program) i=$((i + 1)) ;;
        -*) ;;
        *) return 0 ;;
      esac
    done
  fi
  case $command,$current in
    ,-*) found=(--help --version --manifest --cache-root --jobs -j --fetch-jobs) ;;
    ,*) found=(init add new remove outdated upgrade list search sync asset product run x env hook completion shell test lock bootstrap plan graph why cache why-rebuild export import fetch git-resolve extract hash lua depot remote doctor version trace-schema) ;;
    init,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    add,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --global --help --jobs --locked --manifest --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    new,-*) found=(--cache-root --check --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --install --jobs --library --locked --manifest --no-progress --offline --package --program --quiet --ref --remote --remote-read-only --remote-unsigned --requirement --trace --url --verbose --yes) ;;
    remove,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --global --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    outdated,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --min-age --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    upgrade,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --global --help --jobs --locked --manifest --min-age --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --to --trace --verbose --yes) ;;
    list,-*) found=(--bundles --cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --shipped --trace --verbose --yes) ;;
    search,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    sync,-*) found=(--ask-host --cache-root --depot --depot-unsigned --depot-write --dry-run --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --profile --quiet --remote --remote-exec --remote-jobs --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    asset,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    product,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-install --no-progress --offline --quiet --recipe --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    run,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --with --yes) ;;
    x,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-install --no-progress --offline --program --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    env,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --format --help --jobs --locked --manifest --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --with --yes) ;;
    hook,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --load --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    completion,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    shell,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --fresh --help --jobs --locked --manifest --no-progress --offline --phase --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    test,-*) found=(--build-jobs --build-only --cache-root --changed --clean-cache --count --coverage --depot --depot-unsigned --depot-write --durations --explain --fail-fast --failed --fetch-jobs --filter --flaky --help --history --isolate --jobs --json --junit --legacy --list --load --locked --manifest --max-fails --merge-coverage --min-coverage --no-cache --no-progress --offline --partition --profile --quiet --remote --remote-exec --remote-jobs --remote-read-only --remote-unsigned --rerun --retries --run --sanitize --save-durations --show-output --skip --slow --slowest --stop-on-build-error --timeout --total-timeout --trace --tui --verbose --watch --yes) ;;
    lock,-*) found=(--cache-root --check --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-install --no-progress --offline --platform --quiet --remote --remote-read-only --remote-unsigned --trace --update --verbose --yes) ;;
    bootstrap,-*) found=(--cache-root --check --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --index-url --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --upgrade --verbose --version --wheel --yes) ;;
    plan,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    graph,-*) found=(--cache-root --critical --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --format --help --jobs --json --locked --manifest --no-install --no-progress --offline --output --quiet --reduce --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    why,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --limit --locked --manifest --no-install --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    cache,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    why-rebuild,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    export,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --output --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    import,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    fetch,-*) found=(--blake3 --cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --force --help --jobs --json --locked --manifest --no-progress --offline --quiet --ref --remote --remote-read-only --remote-unsigned --sha256 --sha512 --trace --verbose --yes) ;;
    git-resolve,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    extract,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --force --help --jobs --json --list --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --strip --trace --verbose --yes) ;;
    hash,-*) found=(--algorithm --cache-root --check --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    lua,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    depot,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    remote,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    doctor,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --json --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    version,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    trace-schema,-*) found=(--cache-root --depot --depot-unsigned --depot-write --fail-fast --fetch-jobs --help --jobs --locked --manifest --no-progress --offline --quiet --remote --remote-read-only --remote-unsigned --trace --verbose --yes) ;;
    run,*) _envy_names program ;;
    product,*) _envy_names program ;;
    sync,*) _envy_names package ;;
    asset,*) _envy_names package ;;
    why,*) _envy_names package ;;
    why-rebuild,*) _envy_names package ;;
    plan,*) _envy_names package ;;
    export,*) _envy_names package ;;
    remove,*) _envy_names package ;;
    add,*) found=(black clang-format cmake eslint git-hooks go just lua meson mypy ninja node npm npmtool pre-commit prettier python pytool ruff shellcheck sqlite typescript uv zig zlib) ;;
    x,*) found=(black clang-format cmake eslint git-hooks go just lua meson mypy ninja node npm npmtool pre-commit prettier python pytool ruff shellcheck sqlite typescript uv zig zlib) ;;
  esac
  for word in ${found[@]+"${found[@]}"}; do
    if [ "${word#"$current"}" != "$word" ] || [ -z "$current" ]; then
      COMPREPLY+=("$(printf '%q' "$word")")
    fi
  done
}
complete -o default -F _envy envy
