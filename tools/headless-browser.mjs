/** What the checks in a headless Chromium share. */
import { execFileSync, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

/** The address on loopback that a started command prints. */
function addressOf(child) {
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
function browserOfMachine() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome'])
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one.
    }
  console.error('there is no Chromium here; install one, or name it with --browser FILE');
  process.exit(2);
}

/** Prints each check as it is made; `end` prints their count, writes them to a file where one is named, and sets the exit code. */
export function openChecks() {
  const results = [];
  return {
    check(what, holds, note = '') {
      results.push({ what, holds, note });
      console.log(`${holds ? 'ok  ' : 'FAIL'}  ${what}${note === '' ? '' : `: ${note}`}`);
    },
    async end(json) {
      if (json !== undefined) await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
      const failed = results.filter(({ holds }) => !holds).length;
      console.log(`${results.length - failed} of ${results.length} hold`);
      process.exitCode = failed > 0 ? 1 : 0;
    },
  };
}

/** Starts a command of Node that serves a page, opens a browser, and ends both after `use(browser, address)`. */
export async function withServedPage(command, { cwd, executablePath }, use) {
  const server = spawn(process.execPath, command, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const address = await addressOf(server);
    const browser = await chromium.launch({
      executablePath: executablePath ?? browserOfMachine(),
      args: ['--no-sandbox'],
    });
    try {
      await use(browser, address);
    } finally {
      await browser.close();
    }
  } finally {
    server.kill('SIGINT');
  }
}

/** Checks the accessibility of a page, and that nothing on it is wider than its window. The context must bypass the page's policy. */
export async function checkPage(page, name, check) {
  await page.getByRole('heading', { level: 1 }).waitFor();
  const { width, window, wide } = await page.evaluate(() => ({
    width: globalThis.document.documentElement.scrollWidth,
    window: globalThis.innerWidth,
    wide: [...globalThis.document.querySelectorAll('main *')]
      .filter(
        (element) =>
          !element.closest('.scroll') && element.getBoundingClientRect().right > globalThis.innerWidth,
      )
      .map(({ tagName, className }) => `${tagName} ${String(className)}`),
  }));
  check(
    `${name}: nothing is wider than the window`,
    width <= window,
    `${width} px ${wide.slice(0, 3).join(', ')}`.trim(),
  );
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  check(
    `${name}: axe finds nothing`,
    violations.length === 0,
    violations.map(({ id, nodes }) => `${id} (${nodes.length}: ${nodes[0]?.html.slice(0, 90)})`).join(', '),
  );
}
