/**
 * Uses the playground as a person would, in a headless Chromium: trains in the page and compares every segment's SHA-256 with that of
 * Node, asks, overrides an answer, spoils one task's labels and sees which segments keep their bytes, plans again, checks accessibility.
 * Needs Chromium (`apt-get install chromium`, or --browser FILE). Takes some minutes. Nothing but loopback is reached.
 * Usage: npm run check:playground -- [--effort N] [--browser FILE] [--pictures DIRECTORY] [--json FILE]
 */
import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { checkPage, openChecks, withServedPage } from './headless-browser.mjs';

const { values } = parseArgs({
  options: {
    effort: { type: 'string', default: '0.1' },
    browser: { type: 'string' },
    pictures: { type: 'string' },
    json: { type: 'string' },
  },
});
const { check, end } = openChecks();
const root = join(import.meta.dirname, '..');
const source = ['--conditions', '@contextlora/source', '--import', 'tsx'];
const inNode = JSON.parse(
  execFileSync(
    process.execPath,
    [...source, 'playground/train-in-node.ts', '--effort', values.effort, '--seed', '0'],
    { cwd: root, encoding: 'utf8' },
  ),
);
await withServedPage(
  [...source, 'playground/build.ts', '--serve'],
  { cwd: root, executablePath: values.browser },
  async (browser, address) => {
    await use(browser, address);
    for (const [name, options] of Object.entries({
      dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
      narrow: { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
    })) {
      const context = await browser.newContext({ ...options, bypassCSP: true });
      const page = await context.newPage();
      await page.goto(address);
      await checkPage(page, name, check);
      await context.close();
    }
  },
);
await end(values.json);

async function use(browser, address) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const errors = [];
  const outside = [];
  page.on('pageerror', ({ message }) => errors.push(message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url()))
      outside.push(request.url());
  });
  await page.goto(address);
  const first = await run(page, '');
  check(
    'segments have the bytes that Node gives them',
    equal(first.hashes, inNode),
    JSON.stringify(first.hashes),
  );
  check(
    'the page stays responsive while it trains',
    first.longestFrame < 500,
    `longest gap ${Math.round(first.longestFrame)} ms`,
  );
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  const answered = page.getByText(/Their probabilities stand in the graph/);
  await answered.waitFor({ timeout: 60_000 });
  const before = await answered.textContent();
  check('a question is answered', /strategy: \w+/.test(before), before);
  await page.getByRole('combobox', { name: 'vehicle' }).selectOption('emergency');
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await page.getByText(/vehicle: emergency/).waitFor({ timeout: 60_000 });
  check("a parent's answer can be overridden", true, await answered.textContent());
  await page.getByLabel('Changes').fill('drop orin-nano-8');
  await page.keyboard.press('Enter');
  await page.getByText(/times as long/).waitFor({ timeout: 120_000 });
  check('plans again in the page', true, (await page.getByText(/times as long/).textContent()).trim());
  await picture(page, 'playground');
  const second = await run(page, 'road');
  const same = Object.keys(inNode).filter((task) => second.hashes[task] === first.hashes[task]);
  check(
    'wrong labels in road change road and strategy, and nothing else',
    same.join() === 'vehicle,weather',
    `unchanged: ${same.join(', ')}`,
  );
  check('no error in the console', errors.length === 0, errors.join('; '));
  check('nothing outside the page is asked for', outside.length === 0, outside.join(', '));
  await page.close();
}

/** Starts a run and waits for its end. */
async function run(page, corrupted) {
  await page.getByLabel('How much').evaluate((select, effort) => {
    const { document } = globalThis;
    if (![...select.options].some(({ value }) => value === effort))
      select.append(Object.assign(document.createElement('option'), { value: effort, text: effort }));
  }, values.effort);
  await page.getByLabel('How much').selectOption(values.effort);
  await page.getByLabel('Wrong training labels in').selectOption(corrupted);
  await page.evaluate(() => {
    const state = globalThis;
    state.longestFrame = 0;
    let last = state.performance.now();
    const frame = (now) => {
      state.longestFrame = Math.max(state.longestFrame, now - last);
      last = now;
      state.requestAnimationFrame(frame);
    };
    state.requestAnimationFrame(frame);
  });
  await page.getByRole('button', { name: 'Start' }).click();
  const ended = page.getByRole('region', { name: 'Now' }).locator('caption', {
    hasText: corrupted === '' ? /SHA-256/ : new RegExp(`wrong labels in ${corrupted}`),
  });
  await ended.waitFor({ timeout: 1_800_000 });
  await page.getByRole('heading', { name: /^Plan/ }).waitFor({ timeout: 300_000 });
  const rows = await page.getByRole('region', { name: 'Now' }).locator('tr').all();
  const hashes = {};
  for (const row of rows)
    hashes[await row.locator('th').textContent()] = await row.locator('code').getAttribute('title');
  return { hashes, longestFrame: await page.evaluate(() => globalThis.longestFrame) };
}

async function picture(page, name) {
  if (values.pictures === undefined) return;
  await mkdir(values.pictures, { recursive: true });
  await page.screenshot({ path: join(values.pictures, `${name}.png`), fullPage: true });
}

function equal(a, b) {
  const sorted = (hashes) => JSON.stringify(Object.entries(hashes).sort());
  return sorted(a) === sorted(b);
}
