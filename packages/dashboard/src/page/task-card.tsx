/** All that is known of one task. */
import type { AnswerView, TaskView } from '../view/run-view.js';
import { percent } from './format.js';

const whens = {
  afterOwnPhase: 'after its phase',
  validation: 'validation rows',
  final: 'at the end',
} as const;

export function TaskCard({
  task,
  answer,
}: {
  readonly task: TaskView;
  readonly answer: AnswerView | undefined;
}) {
  const { id, instruction, dependsOn, inputs, labels, certificate, isUnchanged, accuracies } = task;
  return (
    <section aria-labelledby="task-title">
      <h2 id="task-title">Task {id}</h2>
      <div class="scroll" tabindex={0} role="region" aria-label="Facts of the task">
        <table>
          <tbody>
            <Row name="instruction" value={<code>{instruction}</code>} />
            <Row name="inputs" value={inputs.join(', ') || 'none'} />
            <Row name="builds on" value={dependsOn.join(', ') || 'no other task'} />
            <Row name="answers" value={labels.length > 0 ? labels.join(', ') : 'free text'} />
            {certificate !== undefined && (
              <Row
                name="segment"
                value={
                  <>
                    <code title={certificate}>{certificate.slice(0, 16)}…</code>{' '}
                    <span class={isUnchanged ? 'good' : 'bad'}>
                      {isUnchanged
                        ? 'unchanged to the byte since its phase ended'
                        : 'CHANGED after its phase'}
                    </span>
                  </>
                }
              />
            )}
          </tbody>
        </table>
        {accuracies.length > 0 && (
          <table>
            <thead>
              <tr>
                <th scope="col">measured on</th>
                <th scope="col">when</th>
                <th scope="col" class="number">
                  accuracy
                </th>
              </tr>
            </thead>
            <tbody>
              {accuracies.map(({ test, when, accuracy }) => (
                <tr key={`${when} ${test}`}>
                  <td>{test}</td>
                  <td>{whens[when]}</td>
                  <td class="number">{percent(accuracy)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {answer?.labels && (
          <table>
            <caption>Asked “{answer.prompt}”</caption>
            <tbody>
              {answer.labels.map(([label, share]) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  <td class="number">{percent(share)}</td>
                  <td style={{ width: '50%' }}>
                    <span class="share" style={{ width: `${100 * share}%` }} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}

const Row = ({ name, value }: { readonly name: string; readonly value: preact.ComponentChildren }) => (
  <tr>
    <th scope="row">{name}</th>
    <td style={{ whiteSpace: 'normal' }}>{value}</td>
  </tr>
);
