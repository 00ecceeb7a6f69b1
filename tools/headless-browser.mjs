/** What the checks in a headless Chromium share. */
import { execFileSync } from 'node:child_process';

/** The address on loopback that a started command prints. */
export function addressOf(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(text);
      if (found) resolve(found[0]);
    });
    child.on('exit', (code) => reject(new Error(`the command ended with ${code}: ${text}`)));
  });
}

/** The path of a Chromium; ends the process with the way out where there is none. */
export function browserOfMachine() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome'])
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one.
    }
  console.error('there is no Chromium here; install one, or name it with --browser FILE');
  process.exit(2);
}
