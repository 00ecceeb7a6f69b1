import { describe, expect, test } from '@jest/globals';
import {
  nearestSpelling,
  parseTasks,
  renderInstruction,
  slotsOf,
  taskFileJsonSchema,
  TaskGraphError,
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
    if (error instanceof TaskGraphError)
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
      '5: the dependencies form a cycle: "weather" → "road" → "weather"; remove one of them',
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
    ['an id that is not a name', good.replace('id: road', 'id: ../road'), /must be a letter/],
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

  const task = (more: string) =>
    `version: 1\ntasks:\n  - id: a\n    instruction: x\n    inputs: [text]\n    answer: { type: text }\n${more}`;
  const many = (line: (i: number) => string) => Array.from({ length: 30_000 }, (_, i) => line(i)).join('\n');
  test.each([
    ['unknown keys', task(many((i) => `    key${i}: 1`))],
    ['unknown keys of the file', `version: 1\n${many((i) => `key${i}: 1`)}`],
    [
      'tasks with unknown dependencies',
      `version: 1\ntasks:\n${many((i) => `- {id: a${i}, dependsOn: [b]}`)}`,
    ],
    [
      'unknown dependencies',
      task('').replace('id: a', `id: a\n    dependsOn: [${many((i) => `x${i},`).replaceAll('\n', '')}]`),
    ],
    ['equal keys', task(many(() => '    id: b'))],
    ['broken lines', many(() => ']')],
  ])('of a hostile size, with 30,000 %s, is refused within seconds and with a short message', (_, source) => {
    const start = performance.now();
    expect(() => parseTasks(source)).toThrow('at least 100 problems, among them:');
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(problemsOf(source)).toHaveLength(100);
  });

  test('nested deeper than anything sensible is refused like any other', () => {
    for (const open of ['[', '- ', '{a: '])
      expect(() => parseTasks(`version: 1\ntasks: ${open.repeat(100_000)}`)).toThrow(TaskGraphError);
  });

  test.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
    'with a task called %s is refused with its line, because graphology would drop an edge to it',
    (id) => {
      expect(problemsOf(good.replaceAll('weather', id))).toEqual([
        '4: "id": is a name that every JavaScript object has; choose another',
      ]);
      expect(problemsOf(good.replace('dependsOn: [weather]', `dependsOn: [${id}]`))[0]).toBe(
        `10: task "road" depends on "${id}", which is not defined`,
      );
    },
  );

  test('of any text is either read or refused with line numbers', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (source) => {
        try {
          parseTasks(source);
        } catch (error) {
          expect(error).toBeInstanceOf(TaskGraphError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('has a JSON schema for editors', () => {
    expect(JSON.stringify(taskFileJsonSchema())).toContain('"dependsOn"');
  });
});

describe('the nearest spelling', () => {
  const ids = ['weather', 'vehicle', 'road'];

  test('is the candidate with the fewest edits, whatever the case of the letters', () => {
    expect(nearestSpelling('wether', ids)).toBe('weather');
    expect(nearestSpelling('VEHICEL', ids)).toBe('vehicle');
    // One edit from the second, two from the first.
    expect(nearestSpelling('roads', ['broads!', 'road'])).toBe('road');
    expect(nearestSpelling('rod', ['rode', 'road'])).toBe('rode');
  });

  test('suggests nothing further away than a third of the word, so that no hint misleads', () => {
    expect(nearestSpelling('wthr', ids)).toBeUndefined();
    expect(nearestSpelling('weader', ['weather'])).toBe('weather');
    expect(nearestSpelling('woader', ['weather'])).toBeUndefined();
    expect(nearestSpelling('x', ['y', 'zz'])).toBe('y');
    expect(nearestSpelling('x', ['zz'])).toBeUndefined();
    expect(nearestSpelling('x', [])).toBeUndefined();
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

  test('without an answer that it asks for is an error', () => {
    expect(() => renderInstruction(task, {})).toThrow(
      'asks for the answer of "weather", which was not given',
    );
    expect(() => renderInstruction({ id: 'x', instruction: '{constructor}' }, {})).toThrow('"constructor"');
  });
});
