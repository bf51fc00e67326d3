/** A small chart of numbers: bars with names where they are few, else a line. */

type ChartProps = {
  readonly name: string;
  readonly values: readonly number[];
  readonly labels: readonly string[] | undefined;
};

/** Values that are drawn as bars with their names. */
const BARS = 12;
const WIDTH = 300;
const HEIGHT = 80;
/** Values that a line has at most: more than it has pixels say nothing more. */
const POINTS = 600;
/** Room for the line's own width. */
const INSET = 3;

const written = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 2 });

function Bars({ values, labels }: { readonly values: readonly number[]; readonly labels: readonly string[] }) {
  const most = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  return (
    <ol role="list" className="bars">
      {values.map((value, index) => (
        <li key={index}>
          <span className="bar-name">{labels[index]}</span>
          <svg aria-hidden="true" focusable="false">
            <rect width={`${(100 * Math.abs(value)) / most}%`} height="100%" rx="2" data-negative={value < 0 || undefined} />
          </svg>
          <span className="bar-value">{written(value)}</span>
        </li>
      ))}
    </ol>
  );
}

/** Return the least and the largest of a list, of any length. */
const extremes = (values: readonly number[]): readonly [number, number] => [
  values.reduce((least, value) => Math.min(least, value), Infinity),
  values.reduce((most, value) => Math.max(most, value), -Infinity),
];

/** Return as many values as a line has at most: of each stretch, the largest. */
const thinned = (values: readonly number[]): readonly number[] => {
  const width = Math.ceil(values.length / POINTS);
  if (width < 2) return values;
  return Array.from({ length: Math.ceil(values.length / width) }, (_, index) =>
    Math.max(...values.slice(index * width, (index + 1) * width)),
  );
};

function Line({ name, values: all }: { readonly name: string; readonly values: readonly number[] }) {
  const [least, most] = extremes(all);
  const values = thinned(all);
  const low = Math.min(0, least);
  const high = Math.max(most, low + Number.MIN_VALUE);
  const x = (index: number): number => INSET + ((WIDTH - 2 * INSET) * index) / Math.max(1, values.length - 1);
  const y = (value: number): number => HEIGHT - INSET - ((HEIGHT - 2 * INSET) * (value - low)) / (high - low);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const said = `${name}: ${all.length} values from ${written(least)} to ${written(most)}, the last ${written(all.at(-1) ?? 0)}`;
  return (
    <div className="line">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
        <polygon points={`${INSET},${y(low)} ${points} ${WIDTH - INSET},${y(low)}`} />
        <polyline points={points} vectorEffect="non-scaling-stroke" />
      </svg>
      <span className="line-high">{written(high)}</span>
      <span className="line-low">{written(low)}</span>
    </div>
  );
}

export function Chart({ name, values, labels }: ChartProps) {
  return labels !== undefined && values.length <= BARS ? (
    <Bars values={values} labels={labels} />
  ) : (
    <Line name={name} values={values} />
  );
}
