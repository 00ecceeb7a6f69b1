/** A question to the run, where a process answers. */
import { useState } from 'preact/hooks';

import type { QuestionView, TaskView } from '../view/run-view.js';

export function AskCard({
  tasks,
  onAnswered,
}: {
  readonly tasks: readonly TaskView[];
  readonly onAnswered: (question: QuestionView) => void;
}) {
  const trained = tasks.filter(({ state }) => state === 'trained');
  const [task, setTask] = useState<string>();
  const [text, setText] = useState('');
  const [image, setImage] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const [isAsking, setAsking] = useState(false);
  const asked = task ?? trained.at(-1)?.id;
  if (asked === undefined) return null;

  const ask = async () => {
    setAsking(true);
    setProblem(undefined);
    try {
      const response = await fetch('ask', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          task: asked,
          ...(text.trim() === '' ? {} : { text: text.trim() }),
          ...(image === undefined ? {} : { image }),
        }),
      });
      const answer = (await response.json()) as QuestionView | { readonly problem: string };
      if ('problem' in answer) setProblem(answer.problem);
      else onAnswered(answer);
    } catch {
      setProblem('the process that served this page does not answer any more; start it again');
    }
    setAsking(false);
  };
  return (
    <section aria-labelledby="ask-title">
      <h2 id="ask-title">Ask</h2>
      <p>All tasks that the answer builds on are asked too; their answers appear in the graph.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <label>
          <span>Task</span>
          <select
            value={asked}
            onChange={({ currentTarget }) => {
              setTask(currentTarget.value);
            }}
          >
            {trained.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        <label>
          <span>Text</span>
          <input
            type="text"
            value={text}
            onInput={({ currentTarget }) => {
              setText(currentTarget.value);
            }}
          />
        </label>
        <label>
          <span>Picture</span>
          <input
            type="file"
            accept="image/*"
            onChange={({ currentTarget }) => {
              const [file] = currentTarget.files ?? [];
              if (!file) setImage(undefined);
              else void dataUrlOf(file).then(setImage);
            }}
          />
        </label>
        <button class="main" disabled={isAsking}>
          {isAsking ? 'Asking…' : 'Ask'}
        </button>
      </form>
      {image !== undefined && <img class="scene" src={image} alt="The picture of the question" />}
      {problem !== undefined && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}

const dataUrlOf = (file: File): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => {
      resolve(reader.result as string);
    };
    reader.onerror = () => {
      reject(new Error(`${file.name} cannot be read`));
    };
    reader.readAsDataURL(file);
  });
