"""
Invoices: fields from lines, by plain rules. Good enough to try a DAG out; the service has a model for it.

Source of the fields: "Fetching invoice processing result", docs.aspose.cloud/ocr/fetch-invoice-recognition-result/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

_MONTH = r"[A-Za-z]{3,9}"
_DATE = re.compile(
    rf"\b(\d{{4}}-\d{{1,2}}-\d{{1,2}}|\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}}|\d{{1,2}}\.? {_MONTH},? \d{{4}}"
    rf"|{_MONTH} \d{{1,2}},? \d{{4}})\b"
)
_DATE_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y")
_AMOUNT = re.compile(
    r"(?<![\w.,])-?\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d{2})?(?![\d%])|(?<![\w.,])-?\d+(?:[.,]\d{1,2})?(?![\d%])"
)
_PERCENT = re.compile(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?:tel|phone|fon|mobile)\w*\W*(\+?[\d(][\d ()/.-]{5,})", re.IGNORECASE)
_TAX_ID = re.compile(
    r"(?:vat|tax|ust|tin)[\w .-]*?(?:id|no|number|nr|reg)\w*[.:# -]*([A-Z]{0,3}\d[\w -]{4,}\d)", re.IGNORECASE
)
_BIC = re.compile(r"(?:bic|swift)\w*\W*([A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b", re.IGNORECASE)
_IBAN = re.compile(r"\b([A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)\b")
_ACCOUNT = re.compile(r"(?:account|konto)\w*\s*(?:no|number|nr)?\W*([A-Z0-9][A-Z0-9 -]{4,})", re.IGNORECASE)
_BANK = re.compile(r"bank(?: name)?\s*[:\-]\s*(.+)", re.IGNORECASE)
_CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "zł": "PLN"}
_CODES = re.compile(r"\b(EUR|USD|GBP|CHF|JPY|INR|PLN|CZK|SEK|NOK|DKK|CAD|AUD|TRY)\b")
_RECEIVER = re.compile(
    r"^\W*(?:bill(?:ed)? to|invoice to|sold to|customer|receiver|client|to|ship to)\b\W*(.*)$", re.IGNORECASE
)
_ISSUED = re.compile(r"(?:invoice|issue|bill)?\s*date|dated|issued", re.IGNORECASE)
_DUE = re.compile(r"\bdue\b|pay(?:able)? by|payment until", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:grand total|total due|amount due|balance due|total|gross)\b", re.IGNORECASE)
_NET = re.compile(r"\b(?:sub-?\s?total|net(?: amount| total)?|total (?:net|excl)\w*)\b", re.IGNORECASE)
_TAX = re.compile(r"\b(?:vat|tax|mwst|ust)\b", re.IGNORECASE)
_TITLE = re.compile(r"^\W*(?:tax |pro ?forma )?invoice\b", re.IGNORECASE)
_LABELLED = re.compile(
    r"^\W*(?:date|due|no|number|page|tel|phone|e-?mail|fax|web|vat|tax|bank|iban|bic|swift|account)\b", re.IGNORECASE
)


def parsed(rows: Sequence[str], blocks: Sequence[Sequence[str]]) -> dict[str, Any]:
    """
    Return the fields of an invoice.

    :param rows: its text, line by line: a label and its value stand in one.
    :param blocks: its text, in pieces that belong together: a name beside another is a piece of its own.
    """
    lines = [row.strip() for row in rows if row.strip()]
    everything = "\n".join(lines)
    supplier, receiver = _parties(blocks)
    issue = _after(lines, _ISSUED, without=_DUE)
    tax_ids = [found.strip() for found in _TAX_ID.findall(everything)]
    total, net = _amount(lines, _TOTAL, without=_NET), _amount(lines, _NET)
    percent = [found for line in lines if _TAX.search(line) for found in _PERCENT.findall(line)]
    currency = _CODES.search(everything)
    return {
        "issue_date": issue or _first_date(line for line in lines if not _DUE.search(line)),
        "due_date": _after(lines, _DUE),
        "supplier_name": supplier[0] if supplier else "",
        "supplier_address": " ".join(supplier[1:]),
        "supplier_email": _found(_EMAIL, everything),
        "supplier_phone": re.sub(r"\D", "", _found(_PHONE, everything)),
        "supplier_tax_id": tax_ids[0] if tax_ids else "",
        "receiver_name": receiver[0] if receiver else "",
        "receiver_address": " ".join(receiver[1:]),
        "receiver_tax_id": tax_ids[1] if len(tax_ids) > 1 else "",
        "currency": currency[1]
        if currency
        else next((code for sign, code in _CURRENCIES.items() if sign in everything), ""),
        "total_amount": total if total is not None else 0.0,
        "net_amount": net if net is not None else 0.0,
        "vat": float(percent[0].replace(",", ".")) if percent else -1,
        "bank_name": _found(_BANK, everything).strip(),
        "bic": _found(_BIC, everything).upper(),
        "account": _found(_IBAN, everything) or _found(_ACCOUNT, everything).strip(),
    }


def _parties(blocks: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Supplier and receiver: name and address. The supplier is the first that is named, the receiver who is billed."""
    receiver: list[str] = []
    supplier: list[str] = []
    for at, block in enumerate(blocks):
        for number, line in enumerate(block):
            billed = _RECEIVER.match(line.strip())
            if billed and not receiver and not _DATE.search(line):
                rest = [*([billed[1]] if billed[1] else []), *block[number + 1 :]]
                if not rest and at + 1 < len(blocks):
                    rest = list(blocks[at + 1])
                receiver = _address(rest)
                break
            if not receiver and len(supplier) < 4 and not _is_data(line) and not _TITLE.match(line):
                supplier.append(line.strip())
    return supplier, receiver


def _address(lines: Iterable[str]) -> list[str]:
    address: list[str] = []
    for line in lines:
        if not _is_data(line) and not _TITLE.match(line):
            address.append(line.strip())
    return address[:4]


def _is_data(line: str) -> bool:
    """Whether a line is no part of a name or an address."""
    return bool(
        not line.strip()
        or _LABELLED.match(line)
        or _EMAIL.search(line)
        or _DATE.search(line)
        or _TOTAL.search(line)
        or _ISSUED.match(line.strip())
        or "www." in line
    )


def _by_sign(text: str) -> str:
    return next((code for sign, code in _CURRENCIES.items() if sign in text), "")


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return "" if found is None else found[found.lastindex or 0]


def _after(lines: Sequence[str], label: re.Pattern[str], without: re.Pattern[str] | None = None) -> str:
    """The date behind a label, in its line or the next."""
    for at, line in enumerate(lines):
        found = label.search(line)
        if found and not (without and without.search(line)):
            date = _first_date([line[found.end() :], *lines[at + 1 : at + 2]])
            if date:
                return date
    return ""


def _first_date(lines: Iterable[str]) -> str:
    for line in lines:
        for found in _DATE.findall(line):
            plain = re.sub(r"(?<=\d)\.(?= )|,", "", found)
            for form in _DATE_FORMS:
                try:
                    return datetime.strptime(plain, form).date().isoformat()
                except ValueError:
                    continue
    return ""


def _amount(lines: Sequence[str], label: re.Pattern[str], without: re.Pattern[str] | None = None) -> float | None:
    """The last amount behind a label: that of the last line with it, as sums come last."""
    best = None
    for at, line in enumerate(lines):
        found = label.search(line)
        if found is None or (without and without.search(line)):
            continue
        amounts = _amounts(line[found.end() :])
        if not amounts and at + 1 < len(lines) and not re.search(r"[A-Za-z]{3}", lines[at + 1]):
            amounts = _amounts(lines[at + 1])
        if amounts:
            best = amounts[-1]
    return best


def _amounts(text: str) -> list[float]:
    return [_value(found) for found in _AMOUNT.findall(_PERCENT.sub("", text))]


def _value(text: str) -> float:
    decimal = re.search(r"[.,](\d{1,2})$", text)
    whole = re.sub(r"[ ,.']", "", text[: decimal.start()] if decimal else text)
    return float(f"{whole}.{decimal[1]}" if decimal else whole)
