/** The protocol of a side of `npm run bench:decode`: settings on the first line, a run for each line after it, answers as lines of JSON. */
import { createInterface } from 'node:readline';

/** Opens a side with its settings and answers until the input ends; what cannot be opened is said and ends the process. */
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
