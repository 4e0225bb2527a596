# SPDX-License-Identifier: Apache-2.0
"""Results of a test, as TAP."""


class Results:
    count = failed = 0

    def add(self, passed, sentence, more="", always=False):
        """`more`: lines below the sentence; without `always`, only if it failed."""
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {sentence}", flush=True)
        for line in [] if passed and not always else more.splitlines():
            print(f"#   {line}", flush=True)

    def end(self):
        """The exit code."""
        print(f"1..{self.count}")
        return 1 if self.failed else 0
