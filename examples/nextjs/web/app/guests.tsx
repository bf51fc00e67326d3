import type { FormEvent } from "react";
import type { Guest } from "../agent";

type Props = { guests: readonly Guest[]; isBusy: boolean; add: (name: string) => void };

/** The guests in the state, and a form that adds one. */
export function Guests({ guests, isBusy, add }: Props) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    add(String(new FormData(event.currentTarget).get("name")));
    event.currentTarget.reset();
  };
  return (
    <aside>
      <h2>Guests</h2>
      <ul>
        {guests.map(({ name, status = "listed" }) => (
          <li key={name}>
            {name}: {status}
          </li>
        ))}
      </ul>
      <form className="row" onSubmit={submit}>
        <input name="name" placeholder="Name" aria-label="Name of a guest" required />
        <button disabled={isBusy}>Add</button>
      </form>
    </aside>
  );
}
