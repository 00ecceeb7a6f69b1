#!/usr/bin/env node
// Installed, the command is what was built. In a clone it runs from source, so that nothing needs a build first.
import { register } from 'node:module';

if (import.meta.url.includes('/node_modules/')) await import('../dist/bin.js');
else {
  const { register: registerTypeScript } = await import('tsx/esm/api');
  registerTypeScript();
  register(new URL('source-condition.js', import.meta.url));
  await import('../src/bin.ts');
}
