/** `contextlora inspect`: what is in a run, an adapter, a model or a certificate, or in what two of them differ. */
import {
  compareInspected,
  type Inspected,
  type InspectedDifference,
  inspectPath,
} from '@contextlora/finetune';

import { type CommandContext, resultOf } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { bar, createProgress } from '../terminal/progress.js';
import { formatTable } from '../terminal/table.js';

interface InspectOptions {
  readonly json: boolean;
}

export function addInspectCommand({ program, context, world, run }: CommandSetup): void {
  program
    .command('inspect <path> [other]')
    .description('show what is in a run, adapter, model or certificate, or in what two of them differ')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora inspect run', 'what the run was made from, and its segments'],
        ['contextlora inspect run other-run', 'which settings and segments differ, and by how much'],
        ['contextlora inspect model.gguf model-directory', 'what a conversion changed'],
      ]),
    )
    .action((path: string, other: string | undefined, options: InspectOptions) =>
      run(() =>
        // What is printed may be read by a program.
        runInspect([path, other], options, {
          ...context,
          progress: createProgress(world.errorOutput, context),
        }),
      ),
    );
}

async function runInspect(
  [path, otherPath]: readonly [string, string | undefined],
  { json }: InspectOptions,
  context: CommandContext,
): Promise<void> {
  const { output, progress } = context;
  const print = (lines: readonly string[]) => output.write(lines.map((line) => `${line}\n`).join(''));
  const one = await inspectPath(path);
  try {
    if (otherPath === undefined) {
      print(json ? [JSON.stringify(plainOf(one), null, 2)] : linesOf(one));
      return;
    }
    const other = await inspectPath(otherPath);
    try {
      const difference = await resultOf(compareInspected(one, other), context, ({ done, total }) => {
        progress.update(`  comparing tensors ${bar(done, total)} ${done}/${total}`);
      });
      print(json ? [JSON.stringify(difference, null, 2)] : differenceLines(difference));
    } finally {
      await other.close();
    }
  } finally {
    await one.close();
  }
}

const plainOf = ({ kind, path, facts, tensors }: Inspected) => ({
  kind,
  path,
  facts,
  tensors: tensors.map(({ name, shape }) => ({ name, shape })),
});

function linesOf({ kind, path, facts, tensors }: Inspected): string[] {
  const shown = Object.entries(facts).filter(([, value]) => value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  const numbers = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return [
    `${kind} ${path}`,
    ...shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    ...(tensors.length > 0
      ? [`  ${'tensors'.padEnd(width)}  ${tensors.length}, ${numbers.toLocaleString('en')} numbers`]
      : []),
  ];
}

function differenceLines({
  facts,
  onlyOne,
  onlyOther,
  tensors,
  equalTensors,
}: InspectedDifference): string[] {
  const lines: string[] = [];
  if (facts.length > 0)
    lines.push(
      ...formatTable(
        ['differs in', 'one', 'other'],
        facts.map(({ name, one, other }) => [name, short(one), short(other)]),
      ),
      '',
    );
  const rows = byGroup([...tensors]).map(([group, own]) => [
    group,
    String(own.length),
    own.reduce((sum, { differing = 0 }) => sum + differing, 0).toLocaleString('en'),
    largestOf(own.map(({ maximumAbsoluteDifference = NaN }) => maximumAbsoluteDifference)).toExponential(3),
  ]);
  if (rows.length > 0)
    lines.push(...formatTable(['tensors that differ', 'tensors', 'numbers', 'largest difference'], rows), '');
  for (const [names, which] of [
    [onlyOne, 'one'],
    [onlyOther, 'other'],
  ] as const)
    for (const [group, own] of byGroup(names.map((name) => ({ name }))))
      lines.push(`only the ${which} has ${group}: ${own.length} tensors`);
  lines.push(
    tensors.length + onlyOne.length + onlyOther.length === 0
      ? `all ${equalTensors} tensors are equal in every bit`
      : `${equalTensors} tensors are equal in every bit`,
  );
  return lines;
}

/** By segment, or by decoder layer and what is around them. */
function byGroup<T extends { readonly name: string }>(tensors: readonly T[]): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const tensor of tensors) {
    const group =
      /^([^/]+)\/.+\//.exec(tensor.name)?.[1] ?? /^.*?layers\.\d+/.exec(tensor.name)?.[0] ?? tensor.name;
    groups.set(group, [...(groups.get(group) ?? []), tensor]);
  }
  return [...groups];
}

/** NaN, of other shapes or among the numbers, is above all. */
const largestOf = (values: readonly number[]) =>
  values.reduce((most, value) => (value <= most ? most : value), 0);

/** Digests are told apart by their beginning. */
const short = (value = '–') => (/^[0-9a-f]{32,}$/.test(value) ? value.slice(0, 12) : value.slice(0, 60));
