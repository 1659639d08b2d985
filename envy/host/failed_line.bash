# Sourced by bash before a script, since BASH_ENV names this file; see failed_line.py.
#
# The trap writes only where `set -e` ends the script because of the command: in the script's own
# shell (not in a subshell), with -e set. It prints nothing, and changes neither $? nor a name of
# the script.
case $ENVY_FAILED_LINE in
  functions:*) set -E ;;
esac
printf -v ENVY_FAILED_LINE %q "${ENVY_FAILED_LINE#*:}"
trap '{ case $-,$BASH_SUBSHELL in *e*,0) builtin printf "%s\n" "$?" "$LINENO" "${#BASH_LINENO[@]}" ${BASH_LINENO[@]+"${BASH_LINENO[@]}"} ${BASH_SOURCE[@]+"${BASH_SOURCE[@]}"} "$BASH_COMMAND" >| '"$ENVY_FAILED_LINE"' ;; esac; } 2>/dev/null || :' ERR
unset BASH_ENV ENVY_FAILED_LINE
