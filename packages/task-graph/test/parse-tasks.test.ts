import { describe, expect, test } from '@jest/globals';
import {
  parseTasks,
  renderInstruction,
  slotsOf,
  taskFileJsonSchema,
  TaskFileError,
} from '@contextlora/task-graph';
import fc from 'fast-check';

const good = `version: 1
name: Driving
tasks:
  - id: weather
    instruction: 'weather now ?'
    inputs: [image]
    answer: { type: label, labels: [sunny, rain] }
    data: { train: w.jsonl, test: w.test.jsonl }
  - id: road
    dependsOn: [weather]
    instruction: '{text} weather {weather} . road ?'
    inputs: [image, text]
    answer: { type: label, labels: [dry, wet] }
    data: { test: { test: r.jsonl, night: n.jsonl } }
`;

function problemsOf(source: string): string[] {
  try {
    parseTasks(source, { file: 'tasks.yaml' });
  } catch (error) {
    if (error instanceof TaskFileError)
      return error.problems.map(({ line, message }) => `${line}: ${message}`);
    throw error;
  }
  return [];
}

describe('a task file', () => {
  test('is read into tasks, one test set or several by name', () => {
    const { name, tasks } = parseTasks(good);
    expect(name).toBe('Driving');
    expect(tasks[0]).toEqual({
      id: 'weather',
      dependsOn: [],
      instruction: 'weather now ?',
      inputs: ['image'],
      answer: { type: 'label', labels: ['sunny', 'rain'] },
      data: { train: 'w.jsonl', test: { test: 'w.test.jsonl' } },
    });
    expect(tasks[1]?.data.test).toEqual({ test: 'r.jsonl', night: 'n.jsonl' });
  });

  test('with an unknown dependency suggests the nearest spelling, at its line', () => {
    expect(problemsOf(good.replace('dependsOn: [weather]', 'dependsOn: [wether]'))).toEqual([
      '10: task "road" depends on "wether", which is not defined; did you mean "weather"?',
      '11: the instruction of "road" has a slot {weather}, but "road" does not depend on "weather"; add it to dependsOn',
    ]);
  });

  test('with a cycle names its path', () => {
    const cyclic = good.replace(
      "instruction: 'weather now ?'",
      "dependsOn: [road]\n    instruction: 'weather now ?'",
    );
    expect(problemsOf(cyclic)).toEqual([
      '5: the dependencies form a cycle: "weather" → "road" → "weather"; take one of them out',
    ]);
  });

  test('reports all problems at once, in the order of its lines', () => {
    const bad = good
      .replace('labels: [sunny, rain]', 'labels: [sunny, sunny]')
      .replace('- id: road', '- id: weather')
      .replace('inputs: [image, text]', 'inputs: [image, smell]')
      .replace("instruction: '{text}", "instrction: 'x'\n    instruction: '{text}");
    const problems = problemsOf(bad);
    expect(problems.map((problem) => Number(problem.split(':')[0]))).toEqual(
      [...problems.map((p) => Number(p.split(':')[0]))].sort((a, b) => a - b),
    );
    expect(problems.join('\n')).toMatch(/unknown key "instrction"; did you mean "instruction"\?/);
    expect(problems.join('\n')).toMatch(/defined twice/);
    expect(problems.join('\n')).toMatch(/"inputs"/);
  });

  test.each([
    [
      'a self edge',
      good.replace('dependsOn: [weather]', 'dependsOn: [weather, road]'),
      /"road" depends on itself/,
    ],
    ['a duplicate label', good.replace('[dry, wet]', '[dry, dry]'), /has the label "dry" twice/],
    ['an id that is no name', good.replace('id: road', 'id: ../road'), /must be a letter/],
    ['no tasks', 'version: 1\ntasks: []\n', /tasks/],
    ['another version', good.replace('version: 1', 'version: 2'), /version/],
    ['broken YAML', 'tasks: [', /./],
    ['a duplicate key', good.replace('name: Driving', 'name: a\nname: b'), /unique/i],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]\n`,
      /alias/i,
    ],
  ])('with %s is refused', (_, source, message) => {
    expect(problemsOf(source).join('\n')).toMatch(message);
  });

  test('of a megabyte or more is not parsed', () => {
    expect(() => parseTasks(' '.repeat(1024 * 1024 + 1))).toThrow('at most 1048576');
  });

  test('of any text is either read or refused with lines', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (source) => {
        try {
          parseTasks(source);
        } catch (error) {
          expect(error).toBeInstanceOf(TaskFileError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('has a JSON schema for editors', () => {
    expect(JSON.stringify(taskFileJsonSchema())).toContain('"dependsOn"');
  });
});

describe('an instruction', () => {
  const task = { id: 'road', instruction: '{text} weather {weather} . road ?' };

  test('is filled in one pass: braces in an answer are text', () => {
    expect(renderInstruction(task, { text: 'limit 80 .', answers: { weather: '{text}' } })).toBe(
      'limit 80 . weather {text} . road ?',
    );
    expect(slotsOf(task.instruction)).toEqual(['text', 'weather']);
  });

  test('without an answer it asks for is an error', () => {
    expect(() => renderInstruction(task, {})).toThrow(
      'asks for the answer of "weather", which was not given',
    );
    expect(() => renderInstruction({ id: 'x', instruction: '{constructor}' }, {})).toThrow('"constructor"');
  });
});
