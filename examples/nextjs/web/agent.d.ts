// Made by `statecast types`. Make it again when the agent's types change.

import "@assistant-ui/react";

export interface Guest {
  readonly name: string;
  readonly status?: "invited" | "listed";
}

export interface Party {
  readonly messages?: ReadonlyArray<{ readonly [key: string]: unknown }>;
  readonly guests?: ReadonlyArray<Guest>;
}

export interface Answer {
  readonly type: "answer";
  readonly id?: string | null;
  readonly answers: { readonly [key: string]: unknown };
}

export interface AddGuest {
  readonly type: "add-guest";
  readonly name: string;
  readonly id?: string | null;
}

declare module "@assistant-ui/react" {
  namespace Assistant {
    interface Commands {
      "answer": Answer;
      "add-guest": AddGuest;
    }
    interface ExternalState {
      "party": Party;
    }
  }
}
