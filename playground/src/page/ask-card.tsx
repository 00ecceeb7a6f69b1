/** A question about a scene; parents' answers may be overridden. */
import type { AnswerView, TaskView } from '@contextlora/dashboard';
import { useState } from 'preact/hooks';

import type { SceneView } from '../messages.js';

export function AskCard({
  tasks,
  scenes,
  answers,
  ask,
}: {
  readonly tasks: readonly TaskView[];
  readonly scenes: readonly SceneView[];
  readonly answers: readonly AnswerView[];
  readonly ask: (scene: SceneView, text: string, given: Readonly<Record<string, string>>) => void;
}) {
  const [index, setIndex] = useState(0);
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const scene = scenes[index % scenes.length];
  const [text, setText] = useState(scene?.text ?? '');
  if (!scene) return null;
  const decision = tasks.at(-1);
  const show = (next: number) => {
    const wanted = (next + scenes.length) % scenes.length;
    setIndex(wanted);
    setText(scenes[wanted]?.text ?? '');
  };
  return (
    <section aria-labelledby="ask-title">
      <h2 id="ask-title">Ask about a scene</h2>
      <figure>
        <img class="scene" src={scene.picture} width="128" height="128" alt={`Test scene ${index + 1}`} />
        <figcaption>
          Scene {index + 1} of {scenes.length}. Right answers:{' '}
          {Object.entries(scene.right)
            .map(([task, answer]) => `${task} ${answer}`)
            .join(', ')}
          .
        </figcaption>
      </figure>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          ask(scene, text, given);
        }}
      >
        <button
          type="button"
          onClick={() => {
            show(index - 1);
          }}
        >
          Previous
        </button>
        <button
          type="button"
          onClick={() => {
            show(index + 1);
          }}
        >
          Next
        </button>
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
        {decision?.dependsOn.map((parent) => (
          <label key={parent}>
            <span>{parent}</span>
            <select
              value={given[parent] ?? ''}
              onChange={({ currentTarget }) => {
                const others = Object.fromEntries(Object.entries(given).filter(([task]) => task !== parent));
                setGiven(currentTarget.value === '' ? others : { ...others, [parent]: currentTarget.value });
              }}
            >
              <option value="">as predicted</option>
              {tasks
                .find(({ id }) => id === parent)
                ?.labels.map((label) => (
                  <option key={label}>{label}</option>
                ))}
            </select>
          </label>
        ))}
        <button class="main">Ask</button>
      </form>
      {answers.length > 0 && (
        <p role="status">
          {answers.map(({ task, answer }) => `${task}: ${answer}`).join(', ')}. Their probabilities stand in
          the graph.
        </p>
      )}
    </section>
  );
}
