/** The faults of an environment that `check-faults.ts` plays, each as a shell script around a command line. */
import { keyedRandom } from '@contextlora/lora';

export const faultCommands = ['train', 'demo', 'plan', 'profile', 'chat'] as const;
export type FaultCommand = (typeof faultCommands)[number];

export interface FaultCase {
  readonly fault: string;
  readonly command: FaultCommand;
  /** Bash: `"$@"` is the command line, `$OUT` what it writes, `$SCRATCH` an empty directory, `$MODEL` a copy of the model. */
  readonly script: string;
  readonly codes: readonly number[];
  /** Later values of options win. */
  readonly more?: readonly string[];
  readonly signal?: { readonly name: NodeJS.Signals; readonly share: number };
  /** A script that says by its exit code whether the fault can be played here, and why not. */
  readonly needs?: { readonly script: string; readonly otherwise: string };
  /** Whether nobody can read a message. */
  readonly isUnheard?: boolean;
}

/** Runs the rest in a mount namespace of its own. */
const inNamespace = (script: string) => `exec unshare -rm bash -c '${script}' bash "$@"`;
const namespace = { script: inNamespace('mount -t tmpfs none "$SCRATCH"'), otherwise: 'needs unshare -rm' };
/** Root reads and writes everything, unless it gives that up. */
const asUser =
  'asUser=(); [ "$(id -u)" != 0 ] || asUser=(setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all)';
const user = { script: `${asUser}; "\${asUser[@]}" true`, otherwise: 'needs setpriv' };
const runs = (limit: string) => ({
  script: `touch "$SCRATCH/empty.mjs"; ${limit}; exec node "$SCRATCH/empty.mjs"`,
  otherwise: 'Node itself does not start',
});

/** A disk of so many kilobytes, on which the output already has what it had. What was written is kept for `--resume`. */
const onSmallDisk = (kilobytes: number) =>
  inNamespace(
    `mount -t tmpfs -o size=${kilobytes}k none "$SCRATCH"; [ ! -e "$OUT" ] || cp "$OUT" "$SCRATCH/"; "$@" --$WRITES "$SCRATCH/$(basename "$OUT")"; code=$?; rm -rf "$OUT"; [ ! -e "$SCRATCH/$(basename "$OUT")" ] || cp -a "$SCRATCH/$(basename "$OUT")" "$OUT"; exit $code`,
  );

export interface FaultOptions {
  readonly seed: number;
  /** How many values of each fault that has a size or a moment. */
  readonly values: number;
  /** What an undisturbed command takes on the disk. */
  readonly kilobytes: Readonly<Record<'train' | 'demo' | 'plan', number>>;
}

/** All cases, in an order that the seed does not change. */
export function faultCases({ seed, values, kilobytes }: FaultOptions): FaultCase[] {
  const random = keyedRandom(seed, 'faults');
  const some = (count: number) => Array.from({ length: Math.max(1, Math.round(count)) }, (_, index) => index);
  const between = (low: number, high: number) => low + random.integer(high - low + 1);
  const shareOf = (kind: FaultCommand) => (kind === 'demo' ? values / 3 : values);
  return [
    ...(['train', 'demo', 'plan'] as const).flatMap((command) =>
      some(shareOf(command)).map((): FaultCase => {
        const size = between(4, kilobytes[command]);
        return {
          fault: `disk of ${size} kB`,
          command,
          script: onSmallDisk(size),
          codes: [0, 2],
          needs: namespace,
        };
      }),
    ),
    ...(['train', 'demo', 'plan'] as const).flatMap((command): FaultCase[] => [
      {
        fault: 'read-only mount',
        command,
        script: inNamespace(
          'mount -t tmpfs -o ro none "$SCRATCH"; exec "$@" --$WRITES "$SCRATCH/result.json"',
        ),
        codes: [2],
        needs: namespace,
      },
      {
        fault: "another user's directory",
        command,
        script: `${asUser}; chmod 555 "$SCRATCH"; [ "$(id -u)" != 0 ] || chown 65534 "$SCRATCH"; exec "\${asUser[@]}" "$@" --$WRITES "$SCRATCH/result.json"`,
        codes: [2],
        needs: user,
      },
      {
        fault: 'output below a file',
        command,
        script: 'touch "$SCRATCH/file"; exec "$@" --$WRITES "$SCRATCH/file/result.json"',
        codes: [2],
      },
      {
        fault: 'output below /proc',
        command,
        script: 'exec "$@" --$WRITES /proc/contextlora/result.json',
        codes: [2],
      },
      {
        fault: 'name of 300 letters',
        command,
        script: `exec "$@" --$WRITES "$SCRATCH/${'n'.repeat(300)}"`,
        codes: [2],
      },
      {
        fault: 'path of 5,000 letters',
        command,
        script: `exec "$@" --$WRITES "$SCRATCH${`/${'n'.repeat(99)}`.repeat(50)}/result.json"`,
        codes: [2],
      },
      {
        fault: 'removed current directory',
        command,
        script: 'cd "$SCRATCH"; rmdir "$SCRATCH"; exec "$@" --$WRITES result.json',
        codes: [2],
      },
    ]),
    ...(['train', 'plan', 'chat'] as const).map((command): FaultCase => ({
      fault: 'unreadable model',
      command,
      script: `${asUser}; chmod 000 "$MODEL"/*; exec "\${asUser[@]}" "$@" --model "$MODEL"`,
      codes: [2],
      needs: user,
    })),
    ...faultCommands.flatMap((command): FaultCase[] => [
      ...some(shareOf(command)).map((): FaultCase => {
        const limit = between(16, 64);
        return {
          fault: `${limit} file descriptors`,
          command,
          script: `ulimit -n ${limit}; exec "$@"`,
          codes: [0, 2],
          needs: runs(`ulimit -n ${limit}`),
        };
      }),
      ...some(shareOf(command)).map((): FaultCase => {
        const limit = between(700, 4000);
        return {
          fault: `${limit} MB of address space`,
          command,
          script: `ulimit -v ${limit * 1024}; exec "$@"`,
          codes: [0, 2],
          needs: runs(`ulimit -v ${limit * 1024}`),
        };
      }),
      ...some(shareOf(command) / 2).map((): FaultCase => {
        const limit = between(24, 96);
        return {
          fault: `${limit} MB of JavaScript heap`,
          command,
          script: `export NODE_OPTIONS=--max-old-space-size=${limit}; exec "$@"`,
          codes: [0, 2],
        };
      }),
      {
        fault: 'reader leaves (| head -n 1)',
        command,
        script: 'set -o pipefail; "$@" | head -n 1',
        codes: [0, 130],
      },
      { fault: 'closed output (>&-)', command, script: 'exec "$@" >&-', codes: [0, 2] },
      { fault: 'closed errors (2>&-)', command, script: 'exec "$@" 2>&-', codes: [0], isUnheard: true },
      {
        fault: 'closed errors, mistake',
        command,
        script: 'exec "$@" --no-such-option 2>&-',
        codes: [2],
        isUnheard: true,
      },
      { fault: 'closed input (<&-)', command, script: 'exec "$@" <&-', codes: [0] },
      { fault: 'full output (>/dev/full)', command, script: 'exec "$@" > /dev/full', codes: [2] },
    ]),
    {
      fault: 'closed input, no prompt',
      command: 'chat',
      script: 'set -- "${@/--prompt/--system}"; exec "$@" <&-',
      codes: [0, 2],
    },
    ...faultCommands.flatMap((command) =>
      (
        [
          ['SIGINT', 130],
          ['SIGTERM', 143],
          ['SIGHUP', 129],
          ['SIGKILL', 137],
        ] as const
      ).flatMap(([name, code]) =>
        some(shareOf(command) / 2).map((): FaultCase => {
          const share = between(0, 100) / 100;
          return {
            fault: `${name} at ${Math.round(100 * share)} %`,
            command,
            script: 'exec "$@"',
            codes: [0, code],
            signal: { name, share },
            // A process that has not yet started to listen says nothing.
            isUnheard: true,
          };
        }),
      ),
    ),
  ];
}
