"""Helpers of the tests of the reading pages."""


def read_as(app, name: str):
    """Confirm the reader's name in an AppTest, and run the page."""
    app.text_input(key="reader_field").set_value(name)
    return app.button(key="reader_confirm").click().run()
