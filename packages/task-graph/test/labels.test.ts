import { describe, expect, test } from '@jest/globals';
import { parseTasks, TaskGraphError } from '@contextlora/task-graph';
import fc from 'fast-check';

const fileWith = (labels: readonly string[]) => `version: 1
tasks:
  - id: colour
    instruction: x
    inputs: [text]
    answer:
      type: label
      labels:
${labels.map((label) => `        - ${JSON.stringify(label)}`).join('\n')}
`;
const firstLabelLine = 9;

/** The messages with their lines. */
function problemsOf(labels: readonly string[]): string[] {
  try {
    parseTasks(fileWith(labels));
    return [];
  } catch (error) {
    return (error as TaskGraphError).problems.map(({ line, message }) => `${line}: ${message}`);
  }
}

describe('labels that look the same are refused with their line and the difference', () => {
  test.each([
    ['letter case', 'red', 'Red', 'differ only in upper and lower case'],
    ['letter case beyond ASCII', 'ÉTÉ', 'été', 'differ only in upper and lower case'],
    ['inner spaces', 'light blue', 'light  blue', 'differ only in white space'],
    ['a trailing space', 'red', 'red ', 'differ only in white space'],
    ['a no-break space', 'light blue', 'light\u00a0blue', 'differ only in white space'],
    ['composed and decomposed letters', 'caf\u00e9', 'cafe\u0301', 'differ only in their Unicode form'],
    ['full width', 'red', 'ｒｅｄ', 'differ only in their Unicode form'],
    ['a ligature', 'five', 'ﬁve', 'differ only in their Unicode form'],
    ['a character without width', 'red', 'r\u200bed', 'differ only in their Unicode form'],
    ['a soft hyphen', 'red', 're\u00add', 'differ only in their Unicode form'],
    ['nothing', 'red', 'red', 'has the label "red" twice'],
  ])('%s', (_, first, second, message) => {
    const [problem, ...others] = problemsOf([first, 'green', second]);
    expect(others).toEqual([]);
    expect(problem).toContain(`${firstLabelLine + 2}: task "colour" has the label`);
    expect(problem).toContain(message);
  });

  test('and what cannot be seen is shown as its code', () => {
    expect(problemsOf(['caf\u00e9', 'cafe\u0301'])[0]).toContain('"café" and "cafe\\u{301}"');
    expect(problemsOf(['red', 'r\u200bed'])[0]).toContain('"r\\u{200b}ed"');
  });
});

test.each([' red', 'red\n', '\u3000red'])('a label with white space around it is refused: %j', (label) => {
  expect(problemsOf(['green', label])).toEqual([
    expect.stringMatching(/^10: .* begins or ends with white space; remove it$/),
  ]);
});

test.each([' ', '\u200b', '\u2060\u00ad'])('a label without a visible character is refused: %j', (label) => {
  expect(problemsOf(['green', label])).toEqual([expect.stringMatching(/^10: .* has no visible character$/)]);
});

test('labels that begin one another, accents, scripts and emoji are labels like any other', () => {
  for (const labels of [
    ['rain', 'rain snow', 'rai'],
    ['resume', 'résumé'],
    ['sık', 'sik'],
    ['はい', 'いいえ'],
    ['☀️', '🌧️', '👩‍🔧', '👩🔬'],
    ['1', '10', '100'],
    ['+', '-', '--'],
  ])
    expect(problemsOf(labels)).toEqual([]);
});

test('all problems are reported at once', () => {
  expect(problemsOf(['red', 'RED', ' blue', '\u200b'])).toHaveLength(3);
});

test('however labels are decorated, two of one word never pass', () => {
  const decorate = fc.constantFrom(
    (word: string) => word,
    (word: string) => word.toUpperCase(),
    (word: string) => ` ${word}`,
    (word: string) => `${word}\t`,
    (word: string) => word.normalize('NFD'),
    (word: string) => `${word[0] ?? ''}\u200d${word.slice(1)}`,
  );
  const word = fc.constantFrom('été', 'ångström', 'naïve café', 'señor');
  fc.assert(
    fc.property(word, decorate, decorate, decorate, (text, f, g, h) => {
      expect(problemsOf([f(text), 'other', g(h(text))]).length).toBeGreaterThan(0);
    }),
  );
});
