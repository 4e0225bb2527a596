// SPDX-License-Identifier: Apache-2.0
// Prints the frequency of this machine's time stamp counter in kHz, as the guest's kernel takes it (tsc_early_khz).
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// The counter at a moment known to within a microsecond: another try if this thread was interrupted in between.
static uint64_t counter_at(double* when) {
  double before;
  double after;
  uint64_t counter;
  do {
    before = seconds();
    counter = __rdtsc();
    after = seconds();
  } while (after - before > 1e-6);
  *when = before;
  return counter;
}

int main(void) {
  const struct timespec pause = {0, 50 * 1000 * 1000};
  double begin;
  double end;
  const uint64_t first = counter_at(&begin);
  nanosleep(&pause, NULL);
  const uint64_t last = counter_at(&end);
  printf("%.0f\n", (double)(last - first) / (end - begin) / 1e3);
  return 0;
}
