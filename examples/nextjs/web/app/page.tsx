import { Planner } from "./planner";

const SERVER = process.env.NEXT_PUBLIC_STATECAST_URL ?? "http://127.0.0.1:8000";

export default function Page() {
  return (
    <main>
      <h1>Invitations</h1>
      <Planner url={SERVER} />
    </main>
  );
}
