import { describe, expect, test } from '@jest/globals';
import {
  decodeText,
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
    [
      'ids that differ only in case',
      good.replace('id: road', 'id: Weather').replace('[weather]', '[]'),
      /ids "weather" and "Weather" differ only in upper and lower case/,
    ],
    ['lists in lists in lists', `tasks: ${'['.repeat(5000)}`, /nested too deeply/],
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

describe('a task file whose YAML means something else than it seems to', () => {
  const withLabels = (labels: string) => good.replace('[sunny, rain]', labels);

  test('keeps words, dates and times as labels, whatever a YAML directive says', () => {
    for (const directive of ['', '%YAML 1.1\n---\n']) {
      const { tasks } = parseTasks(directive + withLabels('[yes, no, on, off, 2024-01-01, 12:30]'));
      expect(tasks[0]?.answer).toEqual({
        type: 'label',
        labels: ['yes', 'no', 'on', 'off', '2024-01-01', '12:30'],
      });
    }
  });

  test.each([
    ['true', 'true or false'],
    ['False', 'true or false'],
    ['1', 'a number'],
    ['007', 'a number'],
    ['1e3', 'a number'],
    ['0x1F', 'a number'],
    ['null', 'nothing'],
  ])('says that the label %s must be in quotes', (word, kind) => {
    expect(problemsOf(withLabels(`[sunny, ${word}]`))).toEqual([
      `7: "labels": ${word} is not read as text but as ${kind}; put it in quotes: "${word}"`,
    ]);
    expect(problemsOf(withLabels(`[sunny, "${word}"]`))).toEqual([]);
    expect(problemsOf(withLabels(`&a [sunny, ${word}]`).replace('[dry, wet]', '*a'))[0]).toMatch(
      'put it in quotes',
    );
  });

  test('says so too for an id, a dependency, an instruction and a path', () => {
    expect(
      problemsOf(
        good
          .replace('dependsOn: [weather]', 'dependsOn: [1]')
          .replace("'weather now ?'", 'true')
          .replace('train: w.jsonl', 'train: 2024'),
      ).filter((problem) => problem.includes('quotes')),
    ).toHaveLength(3);
  });

  test('refuses merge keys with one message, however many there are', () => {
    const merged =
      'base: &b { inputs: [text] }\nname: x\ntasks:\n  - <<: *b\n    id: a\n  - <<: *b\n    id: b\n';
    expect(problemsOf(merged)).toEqual([
      expect.stringMatching(/^4: merge keys \(<<\) are not supported; .*\(2 merge keys in this file\)$/),
    ]);
  });

  test('says that tabs cannot indent, at the line', () => {
    expect(problemsOf(good.replace('    inputs: [image]', '\tinputs: [image]'))[0]).toBe(
      '6: tabs cannot indent in YAML; use spaces',
    );
  });

  test('reads a value that two tasks share through an alias', () => {
    const { tasks } = parseTasks(withLabels('&words [yes, no]').replace('[dry, wet]', '*words'));
    expect(tasks.map(({ answer }) => answer)).toEqual(
      Array(2).fill({ type: 'label', labels: ['yes', 'no'] }),
    );
    const many = Array.from(
      { length: 300 },
      (_, i) => `\n  - {id: a${i}, instruction: x, inputs: [text], answer: {type: label, labels: *w}}`,
    );
    const shared = withLabels('&w [yes, no]') + many.join('').slice(1) + '\n';
    expect(parseTasks(shared).tasks).toHaveLength(302);
  });

  test.each([
    [
      'an alias without an anchor',
      withLabels('*nowhere'),
      '7: the alias *nowhere has no anchor &nowhere before it',
    ],
    ['a value that contains itself', withLabels('&a [*a, x]'), /^7: |^1: its aliases stand for more than/],
    ['two documents', `${good}---\n${good}`, /^15: a second YAML document begins here/],
    ['an unknown tag', withLabels('!set [a, b]'), /^7: Unresolved tag: !set/],
    ['a date with a tag', withLabels('[!!timestamp 2024-01-01, x]'), /^7: Unresolved tag/],
    ['a key that is a list', `? [a]\n: 1\n${good}`, '1: a key must be a word, not a list or a map'],
    [
      'one key as a number and as a word',
      good.replace('test: w.test.jsonl', 'test: { 1: a, "1": b }'),
      /"1" is given twice/,
    ],
    [
      'a repeated key within a map',
      good.replace('night: n.jsonl', 'night: n.jsonl, night: o.jsonl'),
      /^14: the key "night" is given twice/,
    ],
  ])('with %s is refused at its line', (_, source, message) => {
    expect(problemsOf(source)[0]).toMatch(message);
    expect(problemsOf(source)).toHaveLength(1);
  });

  test.each([
    ['\r\n', 'Windows'],
    ['\r', 'old Macintosh'],
  ])('with the line ends %j (%s) has the same tasks and the same lines', (end) => {
    expect(parseTasks(good.replaceAll('\n', end))).toEqual(parseTasks(good));
    expect(problemsOf(good.replace('[dry, wet]', '[dry, dry]').replaceAll('\n', end))[0]).toMatch(/^13: /);
  });
});

describe('a task file in another encoding', () => {
  const wide = (bigEndian: boolean, mark: boolean) => {
    const bytes = Buffer.from(`${mark ? '\ufeff' : ''}${good}`, 'utf16le');
    return bigEndian ? bytes.swap16() : bytes;
  };
  const problemOf = (source: string | Uint8Array) => {
    try {
      parseTasks(source);
    } catch (error) {
      return (error as TaskGraphError).message;
    }
    return '';
  };

  test('is named for UTF-16 without a mark, though few of its bytes are zero', () => {
    const bytes = Buffer.from('#路面现在怎么样？今天的天气如何，道路湿滑吗', 'utf16le');
    for (const given of [bytes, Buffer.from(bytes).swap16()])
      expect(decodeText(given)).toMatchObject({
        line: 1,
        message: expect.stringContaining('UTF-16') as unknown,
      });
  });

  test('is read as bytes or text of UTF-8, with and without a mark', () => {
    expect(decodeText(Buffer.from('\ufeffa'))).toBe('a');
    for (const source of [good, `\ufeff${good}`])
      for (const given of [source, Buffer.from(source)]) expect(parseTasks(given)).toEqual(parseTasks(good));
  });

  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])(
    'is named for UTF-16 (big-endian: %s, mark: %s), also when it was decoded as UTF-8',
    (bigEndian, mark) => {
      const bytes = wide(bigEndian, mark);
      for (const source of [bytes, bytes.toString('utf8')])
        expect(problemOf(source)).toMatch(
          /tasks\.yaml:1:1: the file is in the encoding UTF-16; save it as UTF-8/,
        );
    },
  );

  test('is named for UTF-32', () => {
    const bytes = Buffer.alloc(4 * good.length);
    for (let i = 0; i < good.length; i++) bytes.writeUInt32LE(good.charCodeAt(i), 4 * i);
    expect(problemOf(bytes)).toMatch(/encoding UTF-32/);
  });

  test('of one byte per letter is refused at its line', () => {
    expect(problemOf(Buffer.from(good.replace('Driving', 'Caf\u00e9'), 'latin1'))).toMatch(
      /tasks\.yaml:2:1: not UTF-8/,
    );
  });

  test('with a NUL character or half of a surrogate pair is refused', () => {
    expect(problemOf(good.replace('Driving', 'a\0b'))).toMatch(/tasks\.yaml:2:1: holds a NUL character/);
    for (const escape of ['\\0', '\\uD800'])
      expect(problemOf(good.replace('sunny', `"a${escape}b"`))).toMatch(
        /:7:\d+: "labels": holds a NUL character or half of a surrogate pair/,
      );
  });
});

describe('what a task file offers', () => {
  test('is text, images and audio', () => {
    expect(problemsOf(good.replace('inputs: [image]', 'inputs: [audio]'))).toEqual([]);
    expect(problemsOf(good.replace('inputs: [image]', 'inputs: [video]'))).toEqual([
      '6: "inputs": must be text, image or audio',
    ]);
  });

  test('has a text input wherever there is a slot for it', () => {
    expect(problemsOf(good.replace('inputs: [image, text]', 'inputs: [image]'))).toEqual([
      '12: the instruction of "road" has a slot {text}, but "text" is not among its inputs; add it, or remove the slot',
    ]);
    expect(problemsOf(good.replace('inputs: [image]', 'inputs: [text]'))).toEqual([]);
    expect(problemsOf(good.replace('inputs: [image]', 'inputs: [image, image]'))[0]).toMatch(
      'lists an input twice',
    );
  });

  test('leaves the slot {text} to the input text', () => {
    expect(problemsOf(good.replaceAll('weather', 'text'))[0]).toBe(
      '4: "id": "text" is the slot of the input text; choose another id',
    );
  });

  test('names test sets by words, because JavaScript moves numbers to the front', () => {
    expect(problemsOf(good.replace('night: n.jsonl', '"2024": n.jsonl'))).toEqual([
      expect.stringMatching(/^14: .*the name of a test set must be a letter/),
    ]);
    for (const name of ['__proto__', 'constructor'])
      expect(problemsOf(good.replace('night: n.jsonl', `${name}: n.jsonl`))).toHaveLength(1);
    expect(problemsOf(good.replace('{ test: r.jsonl, night: n.jsonl }', '[r.jsonl]'))[0]).toMatch(
      '14: "test": must be a path, or a path for the name of each test set',
    );
  });

  test('has a share that can be used', () => {
    expect(parseTasks(`${good}    share: 2.5\n`).tasks[1]?.share).toBe(2.5);
    for (const share of ['0', '-1', '.inf', '.nan', '1e300', '1e-300', 'much'])
      expect(problemsOf(`${good}    share: ${share}\n`)[0]).toMatch(/^15: "share"/);
  });

  test('has an answer schema that the given function checks, at its line', () => {
    const json = good.replace(
      '{ type: label, labels: [dry, wet] }',
      '{ type: json, schema: { type: oject } }',
    );
    expect(parseTasks(json).tasks[1]?.answer).toEqual({ type: 'json', schema: { type: 'oject' } });
    expect(() => parseTasks(json, { schemaProblems: (schema) => [`bad ${JSON.stringify(schema)}`] })).toThrow(
      `tasks.yaml:13:35: the answer's schema: bad {"type":"oject"}`,
    );
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
