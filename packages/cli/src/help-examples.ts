/** Examples at the end of a command's help. */

/** Each example is a command line and what it does. */
export function helpExamples(examples: readonly (readonly [command: string, effect: string])[]): string {
  const lines = examples.flatMap(([command, effect]) => [`  # ${effect}`, `  ${command}`]);
  return ['', 'Examples:', ...lines].join('\n');
}
