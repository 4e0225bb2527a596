// SPDX-License-Identifier: Apache-2.0
// Prints the frequency of this machine's time stamp counters in kHz, as the guest's kernel takes it (tsc_early_khz).
// Fails where a guest cannot use them as its clock: if a processor's counter is behind another one's, as Linux checks it
// (check_tsc_warp() in arch/x86/kernel/tsc_sync.c), or if their frequency changes. It fails as well where this machine's
// own clock is too slow to measure by. A machine with kvm-clock may well have good counters: that it does not use them
// itself is for the case that it is suspended.
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t counter(void) {
  _mm_lfence();
  const uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

// The counter at a moment known to within a microsecond: another try if this thread was interrupted in between. 0: no
// try was that fast, as with a clock that takes a microsecond to read.
static uint64_t counter_at(double* when) {
  for (int attempt = 0; attempt < 10000; ++attempt) {
    *when = seconds();
    const uint64_t value = counter();
    if (seconds() - *when <= 1e-6) return value;
  }
  return 0;
}

// 0: it cannot be measured.
static double khz(void) {
  const struct timespec pause = {0, 50 * 1000 * 1000};
  double begin;
  double end;
  const uint64_t first = counter_at(&begin);
  nanosleep(&pause, NULL);
  const uint64_t last = counter_at(&end);
  return first && last ? (double)(last - first) / (end - begin) / 1e3 : 0;
}

// Two threads take turns for 20 ms: the counter that one reads must not be less than what the other has read before.
static atomic_flag busy = ATOMIC_FLAG_INIT;
static uint64_t latest;
static atomic_int is_behind;
static atomic_int failures;  // of a thread, to run on its processor

static void* compare_counters(void* processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(*(const int*)processor, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    atomic_fetch_add(&failures, 1);
    return NULL;
  }
  const double end = seconds() + 0.02;
  while (seconds() < end) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
    }
    const uint64_t before = latest;
    latest = counter();
    if (latest < before) atomic_store(&is_behind, 1);
    atomic_flag_clear_explicit(&busy, memory_order_release);
  }
  return NULL;
}

static int agree(int one, int other) {
  pthread_t thread;
  pthread_t second;
  if (pthread_create(&thread, NULL, compare_counters, &one) != 0) return 0;
  if (pthread_create(&second, NULL, compare_counters, &other) == 0) {
    pthread_join(second, NULL);
  } else {
    atomic_fetch_add(&failures, 1);
  }
  pthread_join(thread, NULL);
  return !atomic_load(&is_behind) && !atomic_load(&failures);
}

int main(void) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return 1;
  int first = -1;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &usable)) continue;
    if (first < 0) {
      first = processor;
    } else if (!agree(first, processor)) {
      fprintf(stderr, "tsc: processors %d and %d: their counters differ, or cannot be compared\n", first, processor);
      return 1;
    }
  }
  const double frequency = khz();
  const double again = khz();
  if (frequency == 0 || again == 0) {
    fprintf(stderr, "tsc: this machine's clock is too slow to measure by\n");
    return 1;
  }
  if (fabs(again / frequency - 1) > 1e-4) {
    fprintf(stderr, "tsc: a counter ran at %.0f, then at %.0f kHz\n", frequency, again);
    return 1;
  }
  printf("%.0f\n", frequency);
  return 0;
}
