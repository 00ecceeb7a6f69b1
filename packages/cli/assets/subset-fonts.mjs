/**
 * Cuts the two faces of DejaVu Sans that drawings use down to the scripts they are likely to show: Latin, Greek and Cyrillic,
 * with punctuation, arrows, mathematical signs and blocks, and without hinting, which resvg ignores.
 *
 * Run it by hand after a change here; it needs fontTools (`pip install fonttools==4.68.0`).
 * Usage: node packages/cli/assets/subset-fonts.mjs
 */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const characters = [
  'U+0020-024F', // Latin
  'U+02B0-036F', // modifier letters, combining marks
  'U+0370-052F', // Greek, Cyrillic
  'U+1E00-1FFF', // Latin and Greek with more accents
  'U+2000-214F', // punctuation, superscripts, currencies, letterlike signs
  'U+2150-22FF', // fractions, arrows, mathematical signs
  'U+2500-25FF', // box drawing, blocks, shapes
  'U+2713,U+2717', // tick and cross
  'U+FB00-FB06', // Latin ligatures
  'U+FFFD', // replacement character
].join();

const require = createRequire(import.meta.url);
const full = dirname(require.resolve('dejavu-fonts-ttf/package.json'));
for (const face of ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'])
  execFileSync(
    'pyftsubset',
    [
      join(full, 'ttf', face),
      `--unicodes=${characters}`,
      '--layout-features=*',
      '--no-hinting',
      `--output-file=${join(import.meta.dirname, face)}`,
    ],
    { stdio: 'inherit' },
  );
