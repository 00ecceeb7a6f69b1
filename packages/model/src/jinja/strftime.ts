/** Python's `strftime` in local time and the C locale. */
const months = 'January February March April May June July August September October November December'.split(
  ' ',
);
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** @throws Error for a code that is not one of Python's on Linux. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)([\s\S]?)/g, (whole, flag: string, code: string) => {
    const part = partOf(date, code);
    if (part === undefined) throw new Error(`it writes the date as ${whole}, which is not supported`);
    return typeof part === 'string' ? flagged(part, flag) : padded(part, flag);
  });
}

/** A number with its width and what fills it. */
interface Padded {
  readonly value: number;
  readonly width: number;
  readonly fill?: string;
}

function padded({ value, width, fill = '0' }: Padded, flag: string): string {
  if (flag === '-') return String(value);
  return String(value).padStart(width, flag === '_' ? ' ' : flag === '0' ? '0' : fill);
}

function flagged(text: string, flag: string): string {
  if (flag === '^') return text.toUpperCase();
  if (flag !== '#') return text;
  return text === 'AM' || text === 'PM' ? text.toLowerCase() : text.toUpperCase();
}

function partOf(date: Date, code: string): string | Padded | undefined {
  const two = (value: number, fill = '0') => ({ value, width: 2, fill });
  const [year, month, day, weekday] = [date.getFullYear(), date.getMonth(), date.getDate(), date.getDay()];
  const [hour, minute, second] = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const dayOfYear = Math.round((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / 86_400_000) + 1;
  const twelve = hour % 12 === 0 ? 12 : hour % 12;
  const [week, weekYear] = isoWeek(date);
  const all = (format: string) => strftime(date, format);
  switch (code) {
    case 'a':
      return days[weekday]?.slice(0, 3);
    case 'A':
      return days[weekday];
    case 'b':
    case 'h':
      return months[month]?.slice(0, 3);
    case 'B':
      return months[month];
    case 'c':
      return all('%a %b %e %H:%M:%S %Y');
    case 'C':
      return two(Math.floor(year / 100));
    case 'd':
      return two(day);
    case 'D':
    case 'x':
      return all('%m/%d/%y');
    case 'e':
      return two(day, ' ');
    case 'f':
      return { value: date.getMilliseconds() * 1000, width: 6 };
    case 'F':
      return all('%Y-%m-%d');
    case 'g':
      return two(weekYear % 100);
    case 'G':
      return { value: weekYear, width: 1 };
    case 'H':
      return two(hour);
    case 'I':
      return two(twelve);
    case 'j':
      return { value: dayOfYear, width: 3 };
    case 'k':
      return two(hour, ' ');
    case 'l':
      return two(twelve, ' ');
    case 'm':
      return two(month + 1);
    case 'M':
      return two(minute);
    case 'n':
      return '\n';
    case 'p':
      return hour < 12 ? 'AM' : 'PM';
    case 'P':
      return hour < 12 ? 'am' : 'pm';
    case 'r':
      return all('%I:%M:%S %p');
    case 'R':
      return all('%H:%M');
    case 's':
      return { value: Math.floor(date.getTime() / 1000), width: 1 };
    case 'S':
      return two(second);
    case 't':
      return '\t';
    case 'T':
    case 'X':
      return all('%H:%M:%S');
    case 'u':
      return { value: weekday === 0 ? 7 : weekday, width: 1 };
    case 'U':
      return two(Math.floor((dayOfYear + 6 - weekday) / 7));
    case 'V':
      return two(week);
    case 'w':
      return { value: weekday, width: 1 };
    case 'W':
      return two(Math.floor((dayOfYear + 6 - ((weekday + 6) % 7)) / 7));
    case 'y':
      return two(year % 100);
    case 'Y':
      return { value: year, width: 1 };
    // `datetime.now()` knows no zone.
    case 'z':
    case 'Z':
      return '';
    case '%':
      return '%';
    default:
      return undefined;
  }
}

/** The ISO 8601 week and the year that it belongs to. */
function isoWeek(date: Date): [week: number, year: number] {
  const thursday = new Date(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  return [Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7), year];
}
