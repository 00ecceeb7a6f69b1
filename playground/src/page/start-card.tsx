/** What to run. */
import { useState } from 'preact/hooks';

import type { StartMessage } from '../messages.js';

const efforts = [
  { value: 0.1, name: 'a tenth of the demo: under a minute, rough answers' },
  { value: 0.3, name: 'a third of it: a few minutes' },
  { value: 1, name: 'the whole demo' },
];
const tasks = ['vehicle', 'weather', 'road', 'strategy'];

export function StartCard({
  isRunning,
  start,
  stop,
}: {
  readonly isRunning: boolean;
  readonly start: (options: StartMessage) => void;
  readonly stop: () => void;
}) {
  const [effort, setEffort] = useState(0.1);
  const [seed, setSeed] = useState('0');
  const [corrupted, setCorrupted] = useState('');
  const isSeed = /^\d{1,9}$/.test(seed);
  return (
    <section aria-labelledby="start-title">
      <h2 id="start-title">Train</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          start({ type: 'start', seed: Number(seed), effort, ...(corrupted === '' ? {} : { corrupted }) });
        }}
      >
        <label>
          <span>How much</span>
          <select
            value={effort}
            onChange={({ currentTarget }) => {
              setEffort(Number(currentTarget.value));
            }}
          >
            {efforts.map(({ value, name }) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Seed</span>
          <input
            type="text"
            inputMode="numeric"
            size={6}
            value={seed}
            aria-invalid={!isSeed}
            onInput={({ currentTarget }) => {
              setSeed(currentTarget.value);
            }}
          />
        </label>
        <label>
          <span>Wrong training labels in</span>
          <select
            value={corrupted}
            onChange={({ currentTarget }) => {
              setCorrupted(currentTarget.value);
            }}
          >
            <option value="">no task</option>
            {tasks.map((task) => (
              <option key={task}>{task}</option>
            ))}
          </select>
        </label>
        <button class="main" disabled={isRunning || !isSeed}>
          Start
        </button>
        {isRunning && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
      </form>
      {!isSeed && <p class="bad">A seed is a whole number of at most nine digits.</p>}
      <p>
        Run it once, then again with wrong labels in one task: the segments that cannot have heard of it keep
        their bytes.
      </p>
    </section>
  );
}
