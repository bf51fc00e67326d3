"""AG-UI: `POST /ag-ui`."""
