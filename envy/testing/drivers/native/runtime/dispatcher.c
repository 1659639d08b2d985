/* The `main` of a test executable. It runs tests by their index in a table that envy generates.
 *
 *   --list           write the names of the tests
 *   --run-all        run all tests (the default)
 *   --test-index=N   run one test
 *   --from=N         run the tests from index N on
 *   --tests=N-M,K    run these tests
 *
 * With ENVY_TEST_RESULTS=FD:NONCE the results are written to that descriptor, and marks on standard
 * output tell which test has written what. Both begin with the nonce, which is erased from the
 * environment, so that a test cannot forge a result by what it prints. Without it, results are
 * written to standard error for a reader.
 *
 * On another machine there is no such descriptor. With ENVY_TEST_RESULTS=@MILLISECONDS:FILE the
 * results are written to that file, whose first line is a nonce that is made here. Standard error
 * goes where standard output goes, and a process apart kills this one when a test takes longer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct envy_test_row {
  const char *name;
  const char *unit; /* the source file, as the compiler got it */
  void *function;
  int is_void;
};

extern const struct envy_test_row *const envy_test_table;
extern const int envy_test_count;

/* Defined only in builds that measure coverage. */
extern int __llvm_profile_write_file(void) __attribute__((weak));

#define SKIPPED 77
#define LOST 113 /* the exit code when the results cannot be written */
#define MAX_HOOKS 4096

static struct {
  const char *unit;
  int is_teardown;
  void (*function)(void);
} hooks[MAX_HOOKS];
static int hook_count;

static int results = -1;
static int output = -1, errors = -1, folder = -1;
static char nonce[65];
static pid_t owner;
static int watcher = -1; /* is told when a test begins and ends */
static int failures, skipped, in_test;
static sigjmp_buf escape;

void envy_test_hook(const char *unit, int is_teardown, void (*function)(void)) {
  if (hook_count == MAX_HOOKS) {
    fprintf(stderr, "envy: more than %d files with SETUP or TEARDOWN\n", MAX_HOOKS);
    abort();
  }
  hooks[hook_count].unit = unit;
  hooks[hook_count].is_teardown = is_teardown;
  hooks[hook_count++].function = function;
}

void envy_test_fail(const char *file, int line, const char *text) {
  __atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST); /* a test may have threads */
  fflush(stdout);
  fprintf(stderr, "%s:%d: %s failed\n", file, line, text);
}

void envy_test_log(const char *file, int line, const char *format, ...) {
  va_list arguments;
  fflush(stdout);
  fprintf(stderr, "%s:%d: ", file, line);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

void envy_test_abort(void) {
  if (!in_test) abort();
  siglongjmp(escape, 1);
}

void envy_test_skip(const char *reason) {
  fflush(stdout);
  fprintf(stderr, "skipped: %s\n", reason);
  skipped = 1;
  envy_test_abort();
}

static void put(int descriptor, const char *text, size_t length) {
  while (length > 0) {
    ssize_t written = write(descriptor, text, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) continue;
    if (written <= 0) _exit(LOST);
    text += written;
    length -= (size_t)written;
  }
}

static void report(const char *format, ...) {
  char text[256];
  va_list arguments;
  int length = snprintf(text, sizeof text, "\n%s ", nonce);
  va_start(arguments, format);
  length += vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
  va_end(arguments);
  put(results, text, (size_t)length);
}

static void mark(char kind, int index) {
  char text[128];
  int length = snprintf(text, sizeof text, "\x16%s:%c%d\n", nonce, kind, index);
  put(output, text, (size_t)length);
}

static long long now(void) {
  struct timespec moment;
  clock_gettime(CLOCK_MONOTONIC, &moment);
  return (long long)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

static void run_hooks(const char *unit, int is_teardown) {
  for (int i = 0; i < hook_count; i++)
    if (hooks[i].is_teardown == is_teardown && strcmp(hooks[i].unit, unit) == 0)
      hooks[i].function();
}

static int call(const struct envy_test_row *row) {
  volatile int code = 0;
  failures = skipped = 0;
  in_test = 1;
  if (sigsetjmp(escape, 1) == 0) {
    run_hooks(row->unit, 0);
    if (row->is_void)
      ((void (*)(void))row->function)();
    else
      code = ((int (*)(void))row->function)();
  }
  if (sigsetjmp(escape, 1) == 0) run_hooks(row->unit, 1);
  in_test = 0;
  if (failures) return code && code != SKIPPED ? code : 1;
  return skipped ? SKIPPED : code;
}

/* Undo what would make the next test fail for the sake of this one. */
static void restore(void) {
  fflush(stdout);
  fflush(stderr);
  dup2(output, 1);
  dup2(errors, 2);
  if (folder >= 0 && fchdir(folder) != 0) _exit(LOST);
  alarm(0);
}

static void tell_watcher(char what) {
  if (watcher >= 0 && write(watcher, &what, 1) < 0) watcher = -1;
}

/* Start a process that kills this one when a test takes longer. It is no child of this one, so that
 * a test that waits for its children does not find it. */
static int start_watcher(int milliseconds) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  pid_t child = fork();
  if (child < 0) return -1;
  if (child > 0) {
    close(ends[0]);
    watcher = fcntl(ends[1], F_DUPFD_CLOEXEC, 400);
    close(ends[1]);
    return waitpid(child, NULL, 0) == child ? watcher : -1;
  }
  if (fork() != 0) _exit(0);
  struct pollfd end = {ends[0], POLLIN, 0};
  char what = 0;
  close(ends[1]);
  for (;;) {
    int ready = poll(&end, 1, what == 'S' ? milliseconds : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      report("T\n");
      kill(owner, SIGKILL);
    }
    if (ready <= 0 || read(ends[0], &what, 1) <= 0) _exit(0);
  }
}

/* Run a test, and return whether it has failed. */
static int run(int index) {
  const struct envy_test_row *row = &envy_test_table[index];
  if (results >= 0) {
    report("S %d\n", index);
    mark('S', index);
  }
  tell_watcher('S');
  long long started = now();
  int code = call(row);
  long long elapsed = now() - started;
  if (getpid() != owner) { /* a child that the test has started came back from it */
    fflush(stdout);
    _exit(code ? 1 : 0);
  }
  restore();
  tell_watcher('E');
  if (__llvm_profile_write_file) __llvm_profile_write_file();
  if (results >= 0) {
    report("E %d %d %lld\n", index, code, elapsed);
    mark('E', index);
  } else {
    const char *word = code == 0 ? "pass" : code == SKIPPED ? "skip" : "FAIL";
    fprintf(stderr, "%s %s (%.3f s)\n", word, row->name, (double)elapsed / 1e9);
  }
  return code != 0 && code != SKIPPED;
}

/* Open the file of the results, and write a nonce that no test can know as its first line. */
static int open_results(const char *given) {
  char *end;
  long milliseconds = strtol(given, &end, 10);
  unsigned char random[16];
  int source = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (*end != ':' || source < 0 || read(source, random, sizeof random) != sizeof random) return -1;
  close(source);
  for (size_t i = 0; i < sizeof random; i++) snprintf(nonce + 2 * i, 3, "%02x", random[i]);
  int file = open(end + 1, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return -1;
  results = fcntl(file, F_DUPFD_CLOEXEC, 400);
  close(file);
  if (results < 0 || dup2(1, 2) < 0) return -1;
  put(results, nonce, strlen(nonce));
  unsetenv("ENVY_TEST_RESULTS");
  return milliseconds > 0 ? start_watcher((int)milliseconds) : 0;
}

static int read_channel(void) {
  char *given = getenv("ENVY_TEST_RESULTS");
  if (given && *given == '@') return open_results(given + 1);
  char *colon = given ? strchr(given, ':') : NULL;
  if (!colon) return 0;
  if (strlen(colon + 1) >= sizeof nonce) return -1;
  results = atoi(given);
  strcpy(nonce, colon + 1);
  memset(given, 'x', strlen(given));
  unsetenv("ENVY_TEST_RESULTS");
  return fcntl(results, F_SETFD, FD_CLOEXEC);
}

static int run_ranges(const char *text) {
  int failed = 0;
  while (*text) {
    char *end;
    long first = strtol(text, &end, 10), last = first;
    if (end == text) return -1;
    if (*end == '-') last = strtol(end + 1, &end, 10);
    if (first < 0 || last >= envy_test_count || (*end && *end != ',')) return -1;
    for (long index = first; index <= last; index++) failed |= run((int)index);
    text = *end ? end + 1 : end;
  }
  return failed;
}

int main(int argc, char **argv) {
  char ranges[64];
  const char *wanted = ranges;
  snprintf(ranges, sizeof ranges, "0-%d", envy_test_count - 1);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--list") == 0) {
      for (int index = 0; index < envy_test_count; index++) puts(envy_test_table[index].name);
      return 0;
    }
    if (strncmp(argv[i], "--test-index=", 13) == 0)
      wanted = argv[i] + 13;
    else if (strncmp(argv[i], "--tests=", 8) == 0)
      wanted = argv[i] + 8;
    else if (strncmp(argv[i], "--from=", 7) == 0)
      snprintf(ranges, sizeof ranges, "%d-%d", atoi(argv[i] + 7), envy_test_count - 1);
    else if (strcmp(argv[i], "--run-all") != 0) {
      fprintf(stderr, "usage: %s [--list | --run-all | --test-index=N | --from=N | --tests=N-M,K]\n",
              argv[0]);
      return 2;
    }
  }
  owner = getpid();
  if (read_channel() < 0) return LOST;
  output = fcntl(1, F_DUPFD_CLOEXEC, 200);
  errors = fcntl(2, F_DUPFD_CLOEXEC, 200);
  folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (output < 0 || errors < 0) return LOST;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  int failed = run_ranges(wanted);
  if (failed < 0) {
    fprintf(stderr, "%s: no tests %s; there are %d\n", argv[0], wanted, envy_test_count);
    return 2;
  }
  if (results >= 0) report("D\n");
  return failed;
}
