"""Messages of the workflows in the words of a page, which has fields where a command has options."""

import re


def without_options(text: str, fields: dict[str, str], values: dict[str, dict[str, str]] | None = None) -> str:
    """The message with the names of a page's fields in place of the command's options.

    fields: {option: field}. values: {option: {value: its words}}, for options that are followed by a value.
    """

    def chosen(match: re.Match) -> str:
        option, value = match[1], match[2]
        if option not in fields:
            return match[0]
        return f"'{(values or {}).get(option, {}).get(value, value)}' in '{fields[option]}'"

    def field(match: re.Match) -> str:
        return f"'{fields[match[1]]}'" if match[1] in fields else match[0]

    text = re.sub(r" \((--[a-z-]+( \w+)? ?)+\)", "", text)  # an aside that only names options
    text = re.sub(r"\b(pass|use|give)(?= --)", "choose", text)
    text = re.sub(r"\b(Pass|Use|Give)(?= --)", "Choose", text)
    text = re.sub(r"--(label-level|study-rule|match-ignoring) (\w+)", chosen, text)
    text = re.sub(r"--(score|label|image|study|patient|bone|split|data) (?:COLUMN|NAME)\b", field, text)
    text = re.sub(r"--score ([^\s;.]+)", r"\1 as 'Score'", text)
    return re.sub(r"--([a-z][a-z-]*)", field, text)
