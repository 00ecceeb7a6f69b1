/** A small project that trains at once: three tasks of a factory cell, their data, and settings. */

// All words are among those that the embedded model has seen: it is small, and learns nothing of others in so few steps.

/** What the machine's log says, by the state it tells of. */
const machines = {
  subjects: ['engine', 'wheel', 'hammer', 'chain', 'drum', 'clock'],
  states: {
    strong: ['quiet', 'fast', 'cold', 'shiny'],
    weak: ['loud', 'slow', 'warm', 'old'],
    blocked: ['smoke', 'flames', 'dust', 'water'],
  },
};
/** Where the camera's log has seen somebody, by how close to the machine that is. */
const people = {
  subjects: ['walker', 'farmer', 'doctor', 'child', 'teacher', 'pilot'],
  states: {
    far: ['office', 'garden', 'market', 'village'],
    close: ['door', 'window', 'road', 'bridge'],
    crossing: ['engine', 'ladder', 'table', 'carpet'],
  },
};
const orders = ['order early', 'order late'];

interface Statement {
  readonly text: string;
  readonly label: string;
}
interface Row {
  readonly text: string;
  readonly parents?: Readonly<Record<string, string>>;
  readonly answer: string;
}

/** Which of six parts a pair of a subject and a phrase belongs to: 0 and 1 are of the test and validation sets, so that neither repeats a pair of training. */
const partsOf = { train: [2, 3, 4, 5], validation: [1], test: [0] };

/** Label after label in turn, so that neighbours differ. */
function statements(
  { subjects, states }: { subjects: readonly string[]; states: Readonly<Record<string, readonly string[]>> },
  parts: readonly number[],
): Statement[] {
  return subjects.flatMap((subject, i) =>
    [0, 1, 2, 3]
      .filter((j) => parts.includes((i + j) % 6))
      .flatMap((j) =>
        Object.entries(states).map(([label, phrases]) => ({ text: `${subject} ${phrases[j] ?? ''}`, label })),
      ),
  );
}

/** What is right depends on both parents, and on the order where the machine is only weak. */
function decisionOf(machine: string, person: string, order: string): string {
  if (machine === 'blocked' || person === 'crossing') return 'stop';
  if (person === 'close' || (machine === 'weak' && order === 'order early')) return 'slow';
  return 'keep';
}

/** The rows of all tasks over the same log lines: every machine statement with four of people, and an order. */
function rowsOf(parts: readonly number[]): Readonly<Record<string, readonly Row[]>> {
  const [ofMachine, ofPeople] = [statements(machines, parts), statements(people, parts)];
  const cases = ofMachine.flatMap((machine, i) =>
    [0, 1, 2, 5].map((offset, k) => {
      const person = ofPeople[(i + offset) % ofPeople.length]!;
      const order = orders[(i + k) % 2]!;
      return {
        text: `${machine.text} . ${person.text} . ${order}`,
        machine: machine.label,
        person: person.label,
        order,
      };
    }),
  );
  return {
    machine: cases.map(({ text, machine }) => ({ text, answer: machine })),
    people: cases.map(({ text, person }) => ({ text, answer: person })),
    decision: cases.map(({ text, machine, person, order }) => ({
      text,
      parents: { machine, people: person },
      answer: decisionOf(machine, person, order),
    })),
  };
}

const tasksYaml = `# Three tasks of a factory cell, which all read the same line of its log. "decision" builds on the answers of the other two, so it
# trains last, on top of their frozen segments.
version: 1
name: Factory cell
tasks:
  - id: machine
    # What the model is asked. {text} is the row's text; {image} is not needed: an image or a sound in a row comes first.
    instruction: '{text} . machine ?'
    # text, image, audio, or several of them.
    inputs: [text]
    # label: one of these. text: free text. json: JSON of a schema.
    answer: { type: label, labels: [strong, weak, blocked] }
    # Files beside this one, each line a row: {"text": "…", "answer": "…"}. CSV, TSV, Parquet and folders of images work as well.
    data: { train: data/machine.train.jsonl, validation: data/machine.validation.jsonl, test: data/machine.test.jsonl }

  - id: people
    instruction: '{text} . people ?'
    inputs: [text]
    answer: { type: label, labels: [far, close, crossing] }
    data: { train: data/people.train.jsonl, validation: data/people.validation.jsonl, test: data/people.test.jsonl }

  - id: decision
    # The tasks whose answers this one needs: their names in braces stand for their answers.
    dependsOn: [machine, people]
    instruction: '{text} . machine {machine} . people {people} . decision ?'
    inputs: [text]
    answer: { type: label, labels: [keep, slow, stop] }
    # Training rows say what those answers were: {"text": "…", "parents": {"machine": "weak", "people": "close"}, "answer": "slow"}.
    data: { train: data/decision.train.jsonl, validation: data/decision.validation.jsonl, test: data/decision.test.jsonl }
`;

const settingsYaml = `# Settings of a run, the same names as the flags of contextlora train. What is not here has its default.
steps: 150
batchSize: 16
rank: 24
seed: 0
`;

/** The files of the project: path below its directory → content. Equal calls give equal files. */
export function sampleProject(): Readonly<Record<string, string>> {
  const files: Record<string, string> = { 'tasks.yaml': tasksYaml, 'train.yaml': settingsYaml };
  for (const [split, parts] of Object.entries(partsOf))
    for (const [task, rows] of Object.entries(rowsOf(parts)))
      files[`data/${task}.${split}.jsonl`] = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return files;
}
