"""The interfaces of other libraries on Statecast's own parts, for backends that move from them."""
