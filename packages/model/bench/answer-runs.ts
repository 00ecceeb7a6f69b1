/** The protocol of a runtime in `npm run bench:decode`: settings on the first line, one run per further line, answers as lines of JSON. */
import { createInterface } from 'node:readline';

/** Opens a runtime with its settings and answers until the input ends; a runtime that cannot be opened is reported and ends the process. */
export async function answerRuns(open: (settings: never) => Promise<() => Promise<object>>): Promise<never> {
  let run: (() => Promise<object>) | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    if (!run) {
      try {
        run = await open(JSON.parse(line) as never);
        console.log('{}');
      } catch (error) {
        console.log(JSON.stringify({ missing: (error as Error).message }));
        process.exit();
      }
    } else console.log(JSON.stringify(await run()));
  }
  process.exit();
}
