"""The application in this process: its lifespan, HTTP and WebSocket clients, its OpenAPI description."""
