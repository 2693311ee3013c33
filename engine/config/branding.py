"""Section ``branding`` of ``ems.yaml``: what the pages call themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.section import Section

DEFAULT_PRODUCT_NAME = "EMS Dash"


class BrandingConfig(Section):
    """Name and marks of the installation.

    Attributes:
        product_name: Name in the top bar and in the window's title.
        logo_text: One to three characters in place of the logo; None for the logo.
        copyright: First words of the footer, for example a company; None for none.
    """

    product_name: Annotated[str, Field(min_length=1, max_length=40)] = DEFAULT_PRODUCT_NAME
    logo_text: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    copyright: Annotated[str, Field(min_length=1, max_length=120)] | None = None
