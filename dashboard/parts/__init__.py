"""What pages are put together of: a part is drawn by the page that imports it, and by no address of its own."""
