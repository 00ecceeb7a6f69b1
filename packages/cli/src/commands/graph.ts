/** `contextlora graph`: the dependency graph of a task file in several formats. */
import { readTaskFile } from '@contextlora/finetune';
import { toDot, toMermaid, toText, type TaskGraph } from '@contextlora/task-graph';
import { Option } from 'commander';

import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { drawGraph } from '../drawings/draw-graph.js';

const formats = {
  text: (graph: TaskGraph) => Promise.resolve(toText(graph)),
  dot: (graph: TaskGraph) => Promise.resolve(toDot(graph)),
  mermaid: (graph: TaskGraph) => Promise.resolve(toMermaid(graph)),
  json: (graph: TaskGraph) => Promise.resolve(JSON.stringify(graph.export(), null, 2)),
  svg: (graph: TaskGraph) => drawGraph(graph),
} as const;

export function addGraphCommand({ program, context: { output }, runToEnd }: CommandSetup): void {
  program
    .command('graph <tasks.yaml>')
    .description('print the dependency graph of a task file')
    .addOption(new Option('--format <format>', 'output format').choices(Object.keys(formats)).default('text'))
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora graph tasks.yaml', 'level by level, each task with what it builds on'],
        ['contextlora graph tasks.yaml --format svg > graph.svg', 'as a drawing; mermaid for a README'],
        ['contextlora graph tasks.yaml --format json', 'for a program'],
      ]),
    )
    .action((taskFile: string, { format }: { format: keyof typeof formats }) =>
      runToEnd(async () => {
        const { graph } = await readTaskFile(taskFile);
        output.write(`${await formats[format](graph)}\n`);
      }),
    );
}
