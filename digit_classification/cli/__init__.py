"""What both command lines share: their parsing, their terminal, and quiet for libraries."""
