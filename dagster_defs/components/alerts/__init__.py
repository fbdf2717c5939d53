"""The component that declares who is told when something goes wrong."""
