# SPDX-License-Identifier: Apache-2.0
"""Print and scan the sample papers beside this file: an invoice, a table, a label, and the photo of a page.

How a sheet is printed and scanned, and what is needed, stands in ``make_scans.py``; so does the command line.
"""

from __future__ import annotations

from make_scans import BLACK, Fonts, Look, Sheet, break_lines, main, money

STOCK = (
    ("Article", "Aisle", "Count", "Price"),
    ("Black tea", "North", "120", "6.85"),
    ("Rye bread", "West", "36", "4.20"),
    ("Plum jam", "North", "48", "3.90"),
    ("Goat cheese", "East", "15", "5.40"),
    ("Brown eggs", "East", "200", "0.36"),
)
"""The table of ``stock-table.jpg``, row by row."""

NOTE = """
Nobody in the harbour could say who had painted the boat. It lay at the old quay one morning in March, green from bow
to stern, with a lantern at the mast and a loaf of bread on the bench. The ferryman walked round it twice and asked
the baker, and the baker asked the priest.

By noon half the town had come to look. The children wished to row out in it, the ferryman wished to buy it, and the
priest wished to know whose bread it was. In the evening the tide took the boat away again, lantern and all.
"""


def invoice(fonts: Fonts) -> Sheet:
    """The invoice of a company that does not exist, to a shop that does not exist."""
    sheet = Sheet(1000, 900)
    title, bold = fonts.get("Liberation Sans", "Bold", 40), fonts.get("Liberation Sans", "Bold", 24)
    plain = fonts.get("Liberation Sans", "Regular", 24)
    sheet.text(60, 96, "Harbour Supplies Ltd", fonts.get("Liberation Sans", "Bold", 34))
    for n, line in enumerate(("12 Quay Street, Lowport", "mail@harbour.example", "Phone: 0555 204 771")):
        sheet.text(60, 140 + 36 * n, line, plain)
    sheet.text(600, 96, "INVOICE", title)
    for n, line in enumerate(("No 2024-117", "Invoice date: 2024-03-14", "Due date: 2024-04-13")):
        sheet.text(600, 140 + 36 * n, line, plain)
    sheet.text(60, 286, "Bill to:", bold)
    for n, line in enumerate(("The Copper Kettle", "7 Mossgate Lane, Fennick")):
        sheet.text(60, 322 + 36 * n, line, plain)
    sheet.rule(60, 940, 410, 2)
    y = 456
    goods = (("Black tea, 40 packets", 27400), ("Plum jam, 100 jars", 39000), ("Paper bags, 1 case", 3600))
    for name, pence in goods:
        sheet.row(60, 940, y, (name, money(pence)), plain)
        y += 44
    sheet.rule(60, 940, y - 18, 2)
    net = sum(pence for _, pence in goods)
    for name, amount in (("Subtotal", money(net)), ("VAT 20%", money(net // 5))):
        y += 40
        sheet.row(600, 940, y - 18, (name, amount), plain)
    sheet.row(600, 940, y + 32, ("Total EUR", money(net + net // 5)), bold)
    sheet.text(60, 770, "Bank: Lowport Savings", plain)
    sheet.text(60, 806, "IBAN: DE89 3704 0044 0532 0130 00", plain)
    sheet.text(60, 842, "BIC: COBADEFFXXX", plain)
    return sheet


def stock_table(fonts: Fonts) -> Sheet:
    """A ruled table."""
    sheet = Sheet(900, 470)
    edges, top, height = (50, 360, 520, 690, 850), 60, 58
    for n, row in enumerate(STOCK):
        font = fonts.get("Liberation Sans", "Regular" if n else "Bold", 28)
        sheet.cells([left + 16 for left in edges[:-1]], top + height * n + 40, row, font)
    bottom = top + height * len(STOCK)
    for n in range(len(STOCK) + 1):
        sheet.rule(edges[0], edges[-1] + 2, top + height * n, 2.5)
    for edge in edges:
        sheet.box((edge, top, edge + 2.5, bottom), fill=BLACK)
    return sheet


def label(fonts: Fonts) -> Sheet:
    """The label of a jar."""
    sheet = Sheet(620, 420)
    sheet.box((20, 20, 600, 400), outline=(120, 60, 30), radius=20)
    serif, plain = fonts.get("Liberation Serif", "Bold", 62), fonts.get("Liberation Sans", "Regular", 27)
    sheet.text(310, 120, "Plum jam", serif, (96, 30, 60), anchor="ms")
    sheet.text(310, 176, "from the orchards of Fennick", plain, anchor="ms")
    sheet.rule(120, 500, 206, 2, (120, 60, 30))
    for n, line in enumerate(("Plums, sugar, lemon juice", "Net weight 340 g", "Best before 30 June 2025")):
        sheet.text(310, 256 + 48 * n, line, plain, anchor="ms")
    return sheet


def page_photo(fonts: Fonts) -> Sheet:
    """A page of one column, to lie on a dark table."""
    sheet = Sheet(900, 760)
    body = fonts.get("Liberation Serif", "Regular", 28)
    sheet.text(90, 110, "The green boat", fonts.get("Liberation Serif", "Bold", 44))
    y = 180
    for paragraph in NOTE.strip().split("\n\n"):
        for words in break_lines(paragraph, body, 720, 0):
            sheet.text(90, y, " ".join(words), body)
            y += 42
        y += 24
    return sheet


PAPERS = {
    "invoice.jpg": (invoice, Look((246, 245, 240), tilt=0.6, clouds=0.04, fade=0.2, shade=0.12)),
    "stock-table.jpg": (stock_table, Look((244, 242, 234), clouds=0.05, fade=0.2, shade=0.14)),
    "label.jpg": (label, Look((248, 240, 220), tilt=-2.5, backing=(92, 84, 80), inset=40, corner=24, quality=76)),
    "page-photo.jpg": (
        page_photo,
        Look((238, 232, 220), tilt=2, shade=0.5, backing=(74, 64, 58), inset=70, quality=74, seen_from_the_side=0.14),
    ),
}


if __name__ == "__main__":
    main(PAPERS)
