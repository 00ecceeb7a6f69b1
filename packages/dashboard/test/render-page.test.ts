import { createHash } from 'node:crypto';

import { renderPage, type RunView } from '@contextlora/dashboard';
import { describe, expect, test } from '@jest/globals';

const view: RunView = {
  name: 'Light',
  directory: 'run',
  kind: 'train',
  isFinished: false,
  model: 'embedded',
  settings: { rank: 8, seed: 0 },
  tasks: [],
  phases: [],
  linears: [],
};

describe('a page', () => {
  test('holds its view whatever its texts are', async () => {
    const hostile = {
      ...view,
      name: '</title></script><script>alert(1)</script>',
      directory: '<!--<script>',
    };
    const page = await renderPage(hostile);
    expect(page.match(/<script/g)).toHaveLength(3);
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(page).not.toContain('alert(1)</script>');
    const json = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(page)?.[1] ?? '';
    expect(JSON.parse(json)).toEqual({ view: hostile, isLive: false, canAsk: false });
  });

  test('allows its own script and no other, and reaches its process only when it is live', async () => {
    const page = await renderPage(view);
    const script = /<script>(.*)<\/script>\n<\/body>/s.exec(page)?.[1] ?? '';
    expect(script.length).toBeGreaterThan(50_000);
    const digest = createHash('sha256').update(script).digest('base64');
    expect(page).toContain(`script-src 'sha256-${digest}' blob:`);
    expect(page).toContain("connect-src 'none'");
    expect(await renderPage(view, { isLive: true })).toContain("connect-src 'self'");
  });
});
