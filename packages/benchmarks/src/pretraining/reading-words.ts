/**
 * The words of the look-ups that teach the base to read its prompt.
 *
 * Keys and values are drawn from this list uniformly, again for every text, so words carry no meaning here. The tasks' labels are among
 * them because a model can only answer with words of its vocabulary.
 */
import { labelsOf } from '../iov/iov-labels.js';

const everyday =
  `glass paper green red blue yellow purple orange brown grey seven eight nine ten table chair window door river bridge
city village north south east west summer winter spring autumn morning evening music drum piano paint brush apple bread cheese
milk water sugar salt rice soup round square sharp soft warm cold fast early late open shut happy sad strong weak young old
new rich poor quiet loud gold silver iron stone cotton wool silk shirt shoe hat coat bag box key lock map book pen letter
number word story song game ball team race hill lake sea sand island forest farm field garden flower leaf root seed fruit
bird fish horse sheep goat cat mouse lion bear wolf fox owl doctor teacher farmer pilot sailor king queen child mother father
sister brother friend traffic weather road limit speed cargo surface height width weight price colour shape taste name home
train plane boat wheel engine paper candle mirror carpet pillow blanket spoon fork plate cup bottle basket ladder hammer
nail rope chain clock bell lamp flag coin stamp ring crown sword shield arrow castle tower temple market school office bank
hotel museum park beach desert valley canyon volcano cloud thunder shadow smoke flame spark dust metal rubber plastic leather
30 50 80 120 20 40 60 100 15 25 70 90`
    .split(/\s+/)
    .filter((word) => word !== '');

/** All reading words, each once. */
export const readingWords: readonly string[] = [...new Set([...everyday, ...Object.values(labelsOf).flat()])];
