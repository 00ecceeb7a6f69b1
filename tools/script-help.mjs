/**
 * Loaded before a script of `package.json`: `--help` prints the comment at the head of the script, which says what it does and what it
 * takes; an option that it does not have is one line with exit code 2.
 */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const path = process.argv[1] ?? '';
  const headOf = () =>
    /^\/\*\*\s([^]*?)\s\*\//.exec(readFileSync(path, 'utf8'))?.[1]?.replace(/^ ?\* ?/gm, '') ??
    'This script does not say what it does.';
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    console.log(headOf());
    process.exit(0);
  }
  process.on('uncaughtException', (error) => {
    if (!String(error?.code).startsWith('ERR_PARSE_ARGS')) throw error;
    console.error(
      `${error.message.replace(/\. To specify a positional[^]*$/, '')}; --help says what there is`,
    );
    process.exit(2);
  });
}
