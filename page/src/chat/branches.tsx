/** Which of several messages is shown: what an edit or another answer has replaced. */
import { BranchPickerPrimitive } from "@assistant-ui/react";
import { ChevronIcon } from "../icons";

export function Branches() {
  return (
    <BranchPickerPrimitive.Root hideWhenSingleBranch className="branches" data-testid="branches">
      <BranchPickerPrimitive.Previous className="icon-button before" aria-label="Previous version">
        <ChevronIcon />
      </BranchPickerPrimitive.Previous>
      <span>
        <BranchPickerPrimitive.Number /> / <BranchPickerPrimitive.Count />
      </span>
      <BranchPickerPrimitive.Next className="icon-button" aria-label="Next version">
        <ChevronIcon />
      </BranchPickerPrimitive.Next>
    </BranchPickerPrimitive.Root>
  );
}
