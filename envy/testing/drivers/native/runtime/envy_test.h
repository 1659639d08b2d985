/* Optional help for tests that `envy test` runs: CHECK, REQUIRE, SKIP, LOG, SETUP, TEARDOWN.
 *
 * A test is a function `int test_NAME(void)` or `void test_NAME(void)` in a file `*_test.c` (or
 * .cc, .cpp, .cxx). It passes by returning 0 (or nothing), is skipped by returning 77, and fails
 * otherwise. This header is not needed for that.
 */
#ifndef ENVY_TEST_H
#define ENVY_TEST_H

#ifdef __cplusplus
extern "C" {
#endif

void envy_test_fail(const char *file, int line, const char *text);
void envy_test_log(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void envy_test_abort(void) __attribute__((noreturn));
void envy_test_skip(const char *reason) __attribute__((noreturn));
void envy_test_hook(const char *unit, int is_teardown, void (*function)(void));

#ifdef __cplusplus
}
#endif

/* Fail the test if the condition is false, and go on. */
#define CHECK(condition) \
  ((condition) ? (void)0 : envy_test_fail(__FILE__, __LINE__, "CHECK(" #condition ")"))

/* Fail the test if the condition is false, and end it. */
#define REQUIRE(condition)                                                    \
  ((condition) ? (void)0                                                      \
               : (envy_test_fail(__FILE__, __LINE__, "REQUIRE(" #condition ")"), \
                  envy_test_abort()))

/* End the test as skipped, for a reason. */
#define SKIP(reason) envy_test_skip(reason)

/* Write a line to the log of the test, as printf does. */
#define LOG(...) envy_test_log(__FILE__, __LINE__, __VA_ARGS__)

/* `SETUP { ... }` runs before each test of its file, `TEARDOWN { ... }` after it. */
#define SETUP ENVY_TEST_HOOK(envy_test_setup_, 0)
#define TEARDOWN ENVY_TEST_HOOK(envy_test_teardown_, 1)
#define ENVY_TEST_HOOK(name, is_teardown)                                     \
  static void name(void);                                                     \
  __attribute__((constructor)) static void name##register(void) {             \
    envy_test_hook(__BASE_FILE__, is_teardown, name);                         \
  }                                                                           \
  static void name(void)

#endif
